"""What somebody sees in a browser or in a picture."""
