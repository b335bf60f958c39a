import matplotlib as mpl

from studies.reporting.figures.export import render_svg
from studies.reporting.figures.style import INK, RC_PARAMS, add_legend, create_axes


def test_a_long_name_is_broken_within_the_picture() -> None:
    name = "arm-" + "W" * 60
    with mpl.rc_context(RC_PARAMS):
        figure, axes = create_axes("title", "x", "y", [name])
        axes.plot([0, 1], [0, 1], label=name)
        add_legend(figure, [name])
        text = render_svg(figure, "long", "a line")
    assert name not in text
    assert text.count("WWWWWWWWWW") >= 2


def test_a_picture_takes_the_ink_of_its_theme() -> None:
    with mpl.rc_context(RC_PARAMS):
        figure, _ = create_axes("title", "x", "y", ["a"])
        text = render_svg(figure, "empty", 'nothing & "nobody"')
    assert INK not in text
    assert "currentColor" in text
    assert "prefers-color-scheme:dark" in text
    assert "nothing &amp;" in text
