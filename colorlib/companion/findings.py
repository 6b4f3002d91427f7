"""What decides the paper's claims: one function each, in the table `FINDINGS`, named in paper/claims.yaml.

Those here make something for the occasion; the others read what is there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev

import torch

from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.colorizer import load_run
from colorlib.companion import findings_layers, findings_loss, findings_outlook, findings_photographs
from colorlib.companion.evidence import Evidence, Finding
from colorlib.companion.interruption import equal_files_after_a_kill
from colorlib.metrics import mse, psnr_of
from colorlib.photos import open_photos

PORTRAITS = ("grace_hopper", "astronaut")
SMALL = "bundled@256"
"""What is colored for the occasion is small: it says as much in a third of the time."""


def resumed_bytes(evidence: Evidence) -> Finding:
    """Of a small run's result files, the share that a kill does not change."""
    equal = equal_files_after_a_kill()
    return Finding(
        value=fmean(equal.values()),
        text=f"{sum(equal.values())} of {len(equal)} files",
        why=f"A training killed without warning and started again left {' and '.join(equal)}, of which "
        f"{sum(equal.values())} of {len(equal)} have the bytes of an undisturbed run's.",
        command="colorlib claims",
        photographs="training photographs of bundled",
        seeds=1,
    )


def gain_on_faces(evidence: Evidence) -> Finding:
    """How much more the network gains over gray on portraits than on other photographs, each never trained on."""
    seeds = evidence.profile.seeds
    splits = ("test",) if evidence.profile.photos == "bundled" else ("train", "val", "test")
    photos = [photo for split in splits for photo in open_photos(SMALL, split) if "motorcycle" not in photo.name]
    gains = []
    for seed in seeds:
        colorize = load_run(evidence.profile.run(seed))
        gain = {}
        for photo in photos:
            truth = torch.from_numpy(photo.load()).permute(2, 0, 1)
            light = lightness(truth).unsqueeze(0)
            found, gray = (psnr_of(mse(to_bytes(rgb), truth)) for rgb in (colorize(light)[0], gray_rgb(light)[0]))
            gain[photo.name] = found - gray
        faces = [value for name, value in gain.items() if Path(name).stem in PORTRAITS]
        others = [value for name, value in gain.items() if Path(name).stem not in PORTRAITS]
        gains.append(fmean(faces) - fmean(others))
    return Finding(
        value=fmean(gains),
        text=f"{fmean(gains):+.2f} dB",
        why=f"On {_count(faces, 'portrait')} the gain over gray is {abs(fmean(gains)):.2f} dB "
        f"{'higher' if fmean(gains) > 0 else 'lower'} than on {_count(others, 'other photograph')}: too few to say "
        "anything of faces.",
        command=evidence.command("figures2_3"),
        sd=stdev(gains) if len(gains) > 1 else None,
        seeds=len(gains),
        photographs=f"{len(photos)} bundled photographs that were not trained on",
        updates=evidence.profile.config(seeds[0]).updates,
        crop_size=evidence.profile.config(seeds[0]).crop_size,
    )


def _count(values: Sequence[float], noun: str) -> str:
    return f"{len(values)} {noun}{'' if len(values) == 1 else 's'}"


FINDINGS: dict[str, Callable[[Evidence], Finding]] = {
    finding.__name__: finding
    for finding in (
        findings_layers.output_size_kept,
        findings_layers.output_range,
        findings_layers.parameters,
        findings_layers.parameters_beside_unet,
        findings_layers.multiply_adds_beside_unet,
        findings_layers.receptive_width,
        findings_layers.psnr_of_printed_mse,
        resumed_bytes,
        gain_on_faces,
        findings_loss.training_loss_at_40,
        findings_loss.fall_by_epoch_10,
        findings_loss.fall_after_epoch_40,
        findings_loss.epoch_40_of_cpu,
        findings_loss.noise_of_last_epochs,
        findings_photographs.test_mse,
        findings_photographs.test_psnr_of_mse,
        findings_photographs.test_mean_psnr,
        findings_photographs.test_over_training,
        findings_photographs.gain_over_mean_chroma,
        findings_photographs.gain_over_look_up_table,
        findings_photographs.gain_of_zhang,
        findings_photographs.share_better_than_gray,
        findings_photographs.lost_colorfulness,
        findings_photographs.lost_colorfulness_of_zhang,
        findings_photographs.gain_in_color_difference,
        findings_photographs.lost_ssim,
        findings_outlook.gain_of_augmentation,
        findings_outlook.gain_over_other_losses,
        findings_outlook.gain_of_skip_connections,
        findings_outlook.gain_of_perceptual_loss,
        findings_outlook.gain_of_adversarial_loss,
        findings_outlook.gain_of_lab,
        findings_outlook.gain_of_more_photographs,
    )
}
"""What `finding` in paper/claims.yaml may name."""
