"""Turn radiographs into features. The encoders are VGG, every network of timm with feature maps, DiTag's difference to
a normal study, and `none` for decoders that read reports alone. This package also reads pretrained weights.
"""
