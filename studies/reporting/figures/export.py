"""Exports figures as SVG that adapts to light and dark themes, and as PNG."""

import io
import re
from xml.sax.saxutils import quoteattr

import matplotlib as mpl
from matplotlib.figure import Figure

from studies.reporting.figures.style import INK, RC_PARAMS

#: Fonts of the reader's system, narrower than the font that text is measured with.
FONTS = "system-ui, -apple-system, Roboto, Arial, sans-serif"
THEME = (
    "<style>.picture{color:#1f2328;color-scheme:light dark}.picture *{stroke-linejoin:round;stroke-linecap:butt}"
    "@media (prefers-color-scheme:dark){.picture{color:#d7dde4}}</style>"
)
#: Resolution of a PNG, about 700 pixels wide.
PNG_DPI = 160


def render_svg(figure: Figure, name: str, description: str) -> str:
    """Return a figure as SVG text that has its theme in it, the same text for the same figure.

    Args:
        figure: The figure.
        name: Unique within a report; the salt of the ids inside.
        description: Alternative text.
    """
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({**RC_PARAMS, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    text = re.sub(r"^.*?(?=<svg )", "", buffer.getvalue(), flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # unlike those of clip paths and markers they repeat between figures
    text = re.sub(r' width="[^"]*pt" height="[^"]*pt"', "", text, count=1)
    text = re.sub(r"\s*<defs>\s*<style.*?</defs>", THEME, text, count=1, flags=re.DOTALL)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = text.replace("font-family: 'DejaVu Sans', sans-serif", f"font-family: {FONTS}").replace(INK, "currentColor")
    text = text.replace("xlink:href", "href").replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    return text.replace("<svg", f'<svg class="picture" role="img" aria-label={quoteattr(description)}', 1)


def render_png(figure: Figure) -> bytes:
    """Return a figure as PNG on white, the same bytes for the same figure and version of matplotlib.

    Args:
        figure: The figure, which `render_svg` has laid out.
    """
    buffer = io.BytesIO()
    with mpl.rc_context(RC_PARAMS):
        figure.set_layout_engine("none")  # `render_svg` has laid it out, which takes as long as drawing it
        figure.savefig(buffer, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
