"""A reproducible companion to *Deep Learning for Image Colorization: An Encoder-Decoder Approach* (IJRPR 2025)."""
