"""Write reports from the features of an encoder, as published systems do. Each file is one decoder or one family, named
as in its paper; what several decoders use is in `blocks`.
"""
