"""Metrics of published colorizations, measured independently of this project."""

# Metrics of published colorizations (Zhang et al. 2016) on the 193 ground truths that are not near gray, measured
# independently: the table in the README of $COLORLIB_DATA.
# Columns: mean per-image PSNR, PSNR of the pooled MSE, mean CIEDE2000, colorfulness, AuC of the ab error in percent.
MEASURED = {
    "lum": (22.97, 20.59, 10.66, 0.0, 89.2),
    "tinyclouds": (24.07, 22.18, 9.86, 17.5, 90.5),
    "ours_unrebalanced": (24.36, 22.64, 8.71, 20.6, 91.5),
    "ours": (22.14, 20.76, 11.45, 42.9, 88.7),
}
# The table's "grey" is L with a = b = 0. As published (`lum`, a JPEG) it has a CIEDE2000 of 10.656, from the ground
# truths themselves 10.653.
GRAY = (22.97, 20.59, 10.65, 0.0, 89.2)
