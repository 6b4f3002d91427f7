"""Tests of colorlib.data: the distribution of crops, and each crop against NumPy."""

import re

import numpy as np
import pytest
import torch
from helpers.pictures import noise, photo_set

from colorlib.color import lightness, resize
from colorlib.data import (
    Augmentation,
    EpochPlan,
    TrainingPhotos,
    UnusablePhotosError,
    center_crops,
    check_crop_fits,
    check_photos,
    plan_epoch,
    shrink,
)

PAPER = Augmentation(crop_size=12, flip_probability=0.5, turn_probability=0.5)
PLAIN = Augmentation(crop_size=12, flip_probability=0.0, turn_probability=0.0)
ZOOMED = Augmentation(crop_size=8, flip_probability=0.5, turn_probability=0.5, view_share=2 / 3)
PICTURES = [noise(20, 31, seed=1), noise(12, 12, seed=2), noise(40, 13, seed=3), noise(12, 50, seed=4)]
NAMES = ["a.png", "b.png", "c.png", "d.png"]
SIZES = np.array([picture.shape[:2] for picture in PICTURES])


def test_photographs_that_cannot_be_used_are_listed_and_gray_ones_told():
    gray = np.full((12, 12, 3), 90, dtype=np.uint8)
    assert check_photos(photo_set(*PICTURES), 12) == []
    (remark,) = check_photos(photo_set(*PICTURES, gray), 12)
    assert re.search(r"1 of 5 .*train.*gray.*\b4$", remark)
    with pytest.raises(UnusablePhotosError) as error:
        check_photos(photo_set(*PICTURES), 13)
    for fact in ("2 of 4", "1 is 12 x 12", "3 is 50 x 12", "crop_size=13", "at most 12"):
        assert fact in str(error.value)


def columns(plan: EpochPlan) -> np.ndarray:
    return np.stack((plan.photo, plan.top, plan.left, plan.flip, plan.turns), axis=1)


def plan(*, seed: int = 0, epoch: int = 1, crops: int = 30, augmentation: Augmentation = PAPER) -> EpochPlan:
    return plan_epoch(SIZES, crops, augmentation, seed=seed, epoch=epoch)


def test_a_plan_is_a_function_of_seed_and_epoch():
    first = columns(plan(seed=3, epoch=7))
    torch.manual_seed(123)
    np.random.seed(123)
    plan(seed=4, epoch=8)
    assert np.array_equal(columns(plan(seed=3, epoch=7)), first)
    for other in (plan(seed=4, epoch=7), plan(seed=3, epoch=8), plan(seed=7, epoch=3)):
        assert (columns(other) != first).any(axis=0).all()  # every column differs


@pytest.mark.parametrize("crops", [1, 4, 30, 32, 33])
def test_every_photograph_is_taken_equally_often(crops: int):
    taken = np.bincount(plan(crops=crops).photo, minlength=4)
    assert taken.sum() == crops
    assert taken.max() - taken.min() <= 1
    assert (taken == crops // 4).sum() == 4 - crops % 4


def test_the_order_of_photographs_is_random_in_each_round():
    photo = plan(crops=400).photo.reshape(100, 4)
    assert (np.sort(photo, axis=1) == np.arange(4)).all()
    assert len(np.unique(photo, axis=0)) > 20  # of 24 orders


def test_crops_lie_inside_and_reach_every_corner():
    crops = plan(crops=8000)
    height, width = SIZES[crops.photo].T
    assert (crops.top >= 0).all()
    assert (crops.left >= 0).all()
    assert (crops.top + 12 <= height).all()
    assert (crops.left + 12 <= width).all()
    first = crops.photo == 0  # 9 x 20 places
    tops, lefts = np.bincount(crops.top[first], minlength=9), np.bincount(crops.left[first], minlength=20)
    # Chi-square against even chances, at 0.1 %.
    assert ((tops - 2000 / 9) ** 2 / (2000 / 9)).sum() < 26.1
    assert ((lefts - 100) ** 2 / 100).sum() < 43.8
    assert abs(np.corrcoef(crops.top[first], crops.left[first])[0, 1]) < 0.075


def test_flips_and_turns_have_their_probabilities():
    crops = plan(crops=8000)
    assert crops.flip.mean() == pytest.approx(0.5, abs=0.02)
    turns = np.bincount(crops.turns, minlength=4) / 8000
    assert turns == pytest.approx(np.array([1 / 2, 1 / 6, 1 / 6, 1 / 6]), abs=0.02)
    # Flips and turns are independent.
    assert (crops.flip & (crops.turns > 0)).mean() == pytest.approx(0.25, abs=0.02)
    rare = plan(crops=8000, augmentation=Augmentation(crop_size=12, flip_probability=0.1, turn_probability=0.9))
    assert rare.flip.mean() == pytest.approx(0.1, abs=0.015)
    assert (rare.turns > 0).mean() == pytest.approx(0.9, abs=0.015)


def test_probabilities_zero_and_one():
    none = plan(crops=500, augmentation=PLAIN)
    assert not none.flip.any()
    assert not none.turns.any()
    sure = plan(crops=500, augmentation=Augmentation(crop_size=12, flip_probability=1.0, turn_probability=1.0))
    assert sure.flip.all()
    assert set(sure.turns.tolist()) == {1, 2, 3}


def test_a_change_of_the_probabilities_leaves_the_rest_of_the_plan():
    paper, plain = plan(), plan(augmentation=PLAIN)
    for name in ("photo", "top", "left"):
        assert np.array_equal(getattr(paper, name), getattr(plain, name))


def by_hand(crops: EpochPlan, row: int) -> np.ndarray:
    """Return the crop of one row of a plan: flipped left to right, then turned counterclockwise."""
    picture = PICTURES[crops.photo[row]]
    crop = picture[crops.top[row] : crops.top[row] + 12, crops.left[row] : crops.left[row] + 12]
    if crops.flip[row]:
        crop = crop[:, ::-1]
    return np.rot90(crop, crops.turns[row]).transpose(2, 0, 1)


def test_batches_are_the_crops_of_the_plan():
    photos = TrainingPhotos(PICTURES, NAMES, PAPER)
    batches = list(photos.batches(60, 16, seed=5, epoch=2))
    assert [tuple(batch.shape) for batch in batches] == [(16, 3, 12, 12)] * 3 + [(12, 3, 12, 12)]
    crops = plan(seed=5, epoch=2, crops=60)
    assert len(set(zip(crops.flip.tolist(), crops.turns.tolist(), strict=True))) == 8  # all combinations occur
    joined = torch.cat(batches)
    assert joined.dtype == torch.uint8
    for row in range(60):
        assert np.array_equal(joined[row].numpy(), by_hand(crops, row))


def test_views_show_any_share_down_to_the_smallest_at_any_place():
    crops = plan(crops=8000, augmentation=ZOOMED)
    sides, places = np.stack((crops.height, crops.width)), np.stack((crops.top, crops.left))
    assert (sides.min(), sides.max()) == (8, 12)
    assert set(sides[0].tolist()) == {8, 9, 10, 11, 12}
    ratio = crops.height / crops.width
    assert 0.7 < ratio.min() < 0.85 < 1.18 < ratio.max() < 1.4  # sides are rounded to whole pixels
    room = SIZES[crops.photo].T - sides
    assert (places >= 0).all()
    assert (places <= room).all()
    for place, most in zip(places, room, strict=True):
        reached = place[most > 0] / most[most > 0]
        assert reached.min() == 0.0
        assert reached.max() == 1.0
        assert reached.mean() == pytest.approx(0.5, abs=0.02)
    whole = plan(crops=50)
    assert set(whole.height.tolist()) == set(whole.width.tolist()) == {12}


def test_a_view_of_a_part_is_resized_to_the_crop():
    crops = plan(seed=5, epoch=2, crops=30, augmentation=ZOOMED)
    (batch,) = TrainingPhotos(PICTURES, NAMES, ZOOMED).batches(30, 30, seed=5, epoch=2)
    assert batch.shape == (30, 3, 8, 8)
    assert batch.dtype == torch.uint8
    for row in range(30):
        top, left, height, width = (getattr(crops, name)[row] for name in ("top", "left", "height", "width"))
        part = torch.from_numpy(PICTURES[crops.photo[row]][top : top + height, left : left + width].copy())
        expected = resize(part.permute(2, 0, 1).unsqueeze(0).double(), 8, 8)[0]
        expected = (expected.flip(-1) if crops.flip[row] else expected).rot90(int(crops.turns[row]), (-2, -1))
        assert float((batch[row] - expected).abs().max()) <= 0.501


@pytest.mark.parametrize("augmentation", [PAPER, ZOOMED])
def test_batches_do_not_depend_on_their_size(augmentation: Augmentation):
    photos = TrainingPhotos(PICTURES, NAMES, augmentation)
    one = torch.cat(list(photos.batches(30, 1, seed=5, epoch=2)))
    assert torch.equal(one, torch.cat(list(photos.batches(30, 16, seed=5, epoch=2))))


def test_photographs_are_not_copied_and_batches_are():
    photos = TrainingPhotos(PICTURES, NAMES, PAPER)
    for kept, picture in zip(photos.pixels, PICTURES, strict=True):
        assert kept.data_ptr() == picture.ctypes.data
    batch = next(photos.batches(8, 8, seed=0, epoch=1))
    before = batch.clone()
    batch.zero_()
    assert torch.equal(next(photos.batches(8, 8, seed=0, epoch=1)), before)


@pytest.mark.parametrize("augmentation", [PAPER, ZOOMED])
def test_shards_of_batches_join_to_the_whole_batches(augmentation: Augmentation):
    photos = TrainingPhotos(PICTURES, NAMES, augmentation)
    first, second = (
        list(photos.batches(9, 4, seed=5, epoch=2, shard=shard))
        for shard in (lambda count: range(count // 2), lambda count: range(count // 2, count))
    )
    assert [len(batch) for batch in first] == [2, 2, 0]
    assert first[2].shape == (0, 3, augmentation.crop_size, augmentation.crop_size)
    for one, other, whole in zip(first, second, photos.batches(9, 4, seed=5, epoch=2), strict=True):
        assert torch.equal(torch.cat((one, other)), whole)


@pytest.mark.parametrize("small", [(11, 50), (50, 11)])
def test_a_photograph_smaller_than_the_crop_is_named(small: tuple[int, int]):
    pictures, names = [*PICTURES, noise(*small)], [*NAMES, "tiny.png"]
    size = f"{small[1]} x {small[0]}"
    for take in (
        lambda: TrainingPhotos(pictures, names, PAPER),
        lambda: center_crops(pictures, names, 12),
        lambda: check_crop_fits(pictures, names, 12),
    ):
        with pytest.raises(ValueError, match=r"tiny\.png") as error:
            take()
        assert size in str(error.value)
        assert "crop_size=12" in str(error.value)
        assert re.search(r"\b11\b", str(error.value).replace(size, "")), "the largest crop_size that fits"
    check_crop_fits(pictures, names, 11)


def test_an_empty_list_of_photographs_is_refused():
    with pytest.raises(ValueError, match="photo"):
        TrainingPhotos([], [], PAPER)
    with pytest.raises(ValueError, match="photo"):
        center_crops([], [], 12)


def test_center_crops_lie_in_the_middle():
    crops = center_crops(PICTURES, NAMES, 12)
    assert crops.shape == (4, 3, 12, 12)
    assert crops.dtype == torch.uint8
    corners = [(4, 9), (0, 0), (14, 0), (0, 19)]
    for crop, picture, (top, left) in zip(crops, PICTURES, corners, strict=True):
        assert np.array_equal(crop.numpy(), picture[top : top + 12, left : left + 12].transpose(2, 0, 1))


def test_a_shrunk_photograph_has_the_resized_lightness():
    photo = np.random.default_rng(0).integers(0, 256, (90, 61, 3), dtype=np.uint8)
    small = shrink(photo, 24)
    assert small.shape == (24, 24, 3)
    light = lightness(torch.from_numpy(photo).permute(2, 0, 1)).unsqueeze(0)
    expected = resize(light, 24, 24)
    # Rounding to 8 bits moves L by up to half of the largest step of a channel.
    found = lightness(torch.from_numpy(small).permute(2, 0, 1)).unsqueeze(0)
    assert float((found - expected).abs().max()) < 1.0
    assert shrink(photo, 0) is photo
