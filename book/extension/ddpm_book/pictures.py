"""Pictures that weigh a third: figures have few colors, and a palette of 256 holds them."""

from pathlib import Path

from PIL import Image
from sphinx.application import Sphinx


def reduce(app: Sphinx, exception: Exception | None) -> None:
    """Write every figure of the pages anew, with a palette."""
    if exception or app.builder.format != "html":
        return
    for path in Path(app.outdir, "_images").glob("*.png"):
        with Image.open(path) as picture:
            if picture.mode == "P":
                continue  # of an earlier build
            # The palette that covers all colors, also those of a few pixels only: the usual one,
            # by frequency, turns a blue mark among a thousand green lines green.
            few = picture.convert("RGB").quantize(
                256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
        partial = path.with_suffix(".partial")
        few.save(partial, "PNG", optimize=True)
        partial.replace(path)
