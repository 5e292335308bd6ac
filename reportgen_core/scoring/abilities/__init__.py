"""Which abilities may a metric or a protocol have besides its interface? Each is a small protocol of its own."""
