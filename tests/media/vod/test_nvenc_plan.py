"""Which rungs a GPU makes, and what becomes of them when it goes away."""

import json
from dataclasses import replace

import pytest

from media.codec_configs import describe_avc, measure_units
from media.pool import decide_resources
from media.vod.codecs import GPU_CODEC, get_codec
from media.vod.info import decode_json, encode_json
from media.vod.ladder import NVENC, Rung
from media.vod.plan import (
    PlanOrder,
    TranscodePlan,
    give_up_nvenc,
    list_pieces,
    list_tracks,
    name_encoders,
    plan_video,
)
from media.vod.recipe import Recipe
from media.vod.task_jobs import ChunkJob, get_job
from tests.media.vod.sources import describe_source

pytestmark = pytest.mark.unit


def plan(*, nvenc: bool = True, height: int = 1080, **order: object) -> TranscodePlan:
    info = describe_source(60.0, 30)
    assert info.video is not None
    info = replace(info, video=replace(info.video, width=height * 16 // 9, height=height))
    return plan_video(info, PlanOrder("v", "s", nvenc=nvenc, **order))


def list_encoders(made: TranscodePlan) -> dict[str, str]:
    return {rung.name: rung.encoder for group in made.groups for rung in group.rungs}


def test_a_gpu_makes_what_is_not_small_in_a_group_of_its_own():
    made = plan()
    assert list_encoders(made) == {
        "240p": "",
        "480p": "",
        "360p": "",
        "1080p": NVENC,
        "720p": NVENC,
    }
    for group in made.groups:
        assert len({rung.encoder for rung in group.rungs}) == 1
    assert name_encoders(made)["720p"] == NVENC
    assert name_encoders(made)["480p"] == "x264"


def test_without_a_gpu_or_for_small_and_protected_videos_the_plan_is_as_ever():
    assert set(list_encoders(plan(nvenc=False)).values()) == {""}
    assert plan(height=480) == plan(height=480, nvenc=False)
    protected = plan(recipe=Recipe(is_protected=True), key_id="ab")
    assert set(list_encoders(protected).values()) == {""}


def test_other_codecs_are_not_made_by_a_gpu():
    made = plan(recipe=Recipe(codecs=("av1",)))
    extra = [rung for group in made.groups for rung in group.rungs if rung.codec == "av1"]
    assert extra
    assert {rung.encoder for rung in extra} == {""}


def test_a_piece_for_a_gpu_takes_its_encoder_and_every_piece_a_media_slot():
    made = plan()
    assert decide_resources(get_job(made, "gpu-00000")) == {"media": 1, "nvenc": 1}
    assert decide_resources(get_job(made, "rest-00000")) == {"media": 1}
    assert decide_resources(None) == {"media": 1}


def test_when_the_gpu_goes_away_what_it_did_not_finish_gets_other_names():
    made = plan()
    without = give_up_nvenc(made, {"gpu-00000", "first-00000"})
    assert set(list_encoders(without).values()) == {""}
    assert {"720p-x264", "1080p-x264"} <= set(list_tracks(without))
    assert set(list_tracks(without)).isdisjoint({"720p", "1080p"})
    gone = set(list_pieces(made)) - set(list_pieces(without))
    assert gone == {f"gpu-{n:05d}" for n in range(len(made.chunks))}
    pieces = [name for name in list_pieces(without) if name.startswith("rest-x264-")]
    assert len(pieces) == len(made.chunks)
    job = get_job(without, pieces[0])
    assert isinstance(job, ChunkJob)
    assert [rung.quality for rung in job.rungs] == ["1080p", "720p"]
    assert decide_resources(job) == {"media": 1}
    assert give_up_nvenc(without, set()) == without


def test_a_rung_that_the_gpu_has_finished_stays():
    made = plan()
    assert give_up_nvenc(made, set(list_pieces(made))) == made


def test_above_full_hd_what_falls_back_is_made_in_two_groups():
    without = give_up_nvenc(plan(height=2160), set())
    assert [group.name for group in without.groups] == [
        "first",
        "rest",
        "rest-x264",
        "large-x264",
    ]


def test_another_versions_pieces_keep_its_name():
    without = give_up_nvenc(plan(version=2), set())
    assert all(name.startswith("v2-") for name in list_pieces(without))
    assert "v2-720p-x264" in list_tracks(without)


def test_a_rung_from_before_has_the_encoder_of_its_codec():
    rung = Rung("720p", 1280, 720, 3_000_000)
    stored = json.loads(encode_json(rung))
    del stored["encoder"]
    read = decode_json(json.dumps(stored).encode(), Rung)
    assert get_codec(read).encoder == "libx264"
    assert get_codec(replace(rung, encoder=NVENC)) is GPU_CODEC


def test_a_gpus_rate_and_buffer_are_those_of_the_rung():
    rung = Rung("720p", 1280, 720, 2_000_000, encoder=NVENC, coarser=2)
    options = GPU_CODEC.decide_options(rung, plan().grid, 0.5)
    assert (options["maxrate"], options["bufsize"]) == ("2000000", "4000000")
    assert options["rc_init_occupancy"] == "2000000"
    assert options["cq"] == "29"


SPS, PPS = bytes.fromhex("67640028ac"), bytes.fromhex("68ee3cb0")


def test_units_behind_start_codes_become_units_behind_lengths_without_sets_and_notes():
    slices = [b"\x65\x01\x02", b"\x41\x03"]
    coded = b"\0\0\0\1\x09\xf0" + b"\0\0\0\1" + SPS + b"\0\0\1" + PPS
    coded += b"\0\0\1\x06\x05\x80" + b"".join(b"\0\0\1" + unit for unit in slices)
    assert measure_units(coded) == b"\0\0\0\3" + slices[0] + b"\0\0\0\2" + slices[1]


def test_parameter_sets_behind_start_codes_become_a_configuration():
    config = describe_avc(b"\0\0\0\1" + SPS + b"\0\0\0\1" + PPS)
    assert config.name == "avc1.640028"
    assert config.payload == (
        b"\x01\x64\x00\x28\xff\xe1\x00\x05" + SPS + b"\x01\x00\x04" + PPS + b"\xfd\xf8\xf8\x00"
    )
