"""Numbers and figures of the paper itself; paper/claims.yaml holds the claims about them."""

LOSS = 0.0044
"""Average training loss at epoch 40 (Abstract, Sec. IV.A)."""
PARAMETERS = 600_000
"""Approximate number of parameters (Sec. III.B)."""
EPOCH = 40
"""Epoch of `LOSS`, around which the paper sees convergence (Sec. III.E)."""
EPOCHS = 100
"""Number of epochs of training (Sec. III.E)."""
MSE = 0.0044
"""Mean squared error in Table I (Sec. IV.C)."""
PSNR = 23.56
"""PSNR in Table I, in dB (Sec. IV.C)."""
EXAMPLES = {
    "figure2_portrait": (
        "matplotlib/grace_hopper.jpg",
        "Figure 2",
        "a portrait in uniform, Grace Hopper (public domain)",
    ),
    "figure3_coffee": ("skimage/coffee.png", "Figure 3a", "a cup of coffee on a wooden table (CC0)"),
    "figure3_rocket": ("skimage/rocket.jpg", "Figure 3b", "a rocket on its launch pad at dawn (public domain)"),
}
"""Figures 2-3: file name -> the bundled photograph, its number, its description."""
