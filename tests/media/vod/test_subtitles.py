"""Subtitles are read strictly and come out as plain WebVTT, whatever hung on them."""

import pytest

from media.vod.subtitles import SubtitlesMalformed, parse_subtitles, write_webvtt

pytestmark = pytest.mark.unit

SRT = """\ufeff1\r
00:00:01,000 --> 00:00:02,500\r
<font color="red">Hello</font> & <b>welcome\r
\r
2\r
00:00:00,200 --> 00:00:00,900\r
1 < 2\r
"""
VTT = """WEBVTT - a title
Kind: captions

STYLE
::cue { background: url(http://elsewhere/) }

NOTE nobody sees this

intro
00:01.000 --> 00:02.000 line:90% align:middle position:10%
<v Ada>So <i>be</b> it</v>

00:03.000 --> 01:00:04.000

"""


def test_srt_becomes_webvtt_in_order_of_time():
    assert write_webvtt(parse_subtitles(SRT)) == (
        "WEBVTT\n\n"
        "00:00:00.200 --> 00:00:00.900\n1 &lt; 2\n\n"
        "00:00:01.000 --> 00:00:02.500\nHello &amp; <b>welcome</b>\n"
    )


def test_only_times_words_and_known_settings_survive():
    (cue,) = parse_subtitles(VTT)
    assert (cue.start_ms, cue.end_ms) == (1000, 2000)
    assert cue.settings == "line:90% position:10%"
    assert cue.text == "So <i>be it</i>"


def test_what_was_written_reads_the_same_again():
    cues = parse_subtitles(SRT)
    assert parse_subtitles(write_webvtt(cues)) == cues


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("Once upon a time", 2),
        ("1\n00:00:01,000 -> 00:00:02,000\nx", 2),
        ("1\n00:00:02,000 --> 00:00:01,000\nx", 2),
        ("1\n00:00:01,000 --> 00:00:02,000\nx\n\n2\n00:61:00,000 --> 01:00:00,000\ny", 6),
        ("WEBVTTX\n\n00:01.000 --> 00:02.000\nx", 1),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n" + "x" * 1001, 3),
        ("WEBVTT\n\n00:01.000 --> 30:00:00.000\nx", 3),
        ("\n\n00:01,000 --> 00:02,000\n<b></b>", 4),
    ],
)
def test_what_is_neither_kind_is_refused_with_its_line(text: str, line: int):
    with pytest.raises(SubtitlesMalformed) as caught:
        parse_subtitles(text)
    assert caught.value.details == {"line": line}


def test_a_cue_cannot_smuggle_markup_or_a_second_cue():
    (cue,) = parse_subtitles("1\n00:01,000 --> 00:02,000\n&lt;script&gt;x\x00\x1b --&gt; y")
    assert cue.text == "&lt;script&gt;x --&gt; y"
