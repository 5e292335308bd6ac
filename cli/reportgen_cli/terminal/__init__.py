"""Write to the terminal: printable texts, the progress of a command and notes of libraries; end it at a signal."""
