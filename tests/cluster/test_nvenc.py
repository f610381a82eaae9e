"""A node offers NVENC only where it encoded with it; doctor says why not."""

import pytest

from cluster.doctor import Verdict, check_nvenc
from cluster.nvenc import AT_ONCE, DEVICES, count_nvenc_places, find_nvenc_refusal, run_trial
from cluster.topology import list_resources
from kit.setting_sections import ProcessingSettings, SettingsInvalid
from kit.settings import Settings

pytestmark = pytest.mark.media


def test_a_node_without_a_driver_offers_none_and_says_so():
    if any(device.exists() for device in DEVICES):
        pytest.skip("there is an NVIDIA driver")
    assert find_nvenc_refusal() == "there is no NVIDIA driver"
    assert count_nvenc_places(ProcessingSettings(nvenc="auto")) == 0
    found = check_nvenc("auto", find_nvenc_refusal())
    assert (found.verdict, found.found) == (Verdict.GOOD, "no NVENC: there is no NVIDIA driver")


def test_the_trial_itself_tells_what_the_driver_lacks():
    if any(device.exists() for device in DEVICES):
        pytest.skip("there is an NVIDIA driver")
    assert "libcuda" in run_trial()


def test_a_node_that_encoded_offers_a_few_places_and_only_where_they_are_wanted():
    assert count_nvenc_places(ProcessingSettings(nvenc="auto"), lambda: "") == AT_ONCE
    assert count_nvenc_places(ProcessingSettings(), lambda: "") == 0
    assert list_resources(Settings(), AT_ONCE)["nvenc"] == 2.0
    assert "nvenc" not in list_resources(Settings())


def test_doctor_says_whether_what_is_there_is_used():
    assert check_nvenc("off", "").found == "NVENC, unused: processing.nvenc is off"
    assert check_nvenc("auto", "").found == "NVENC, for H.264 above 480p"


def test_the_setting_is_off_or_auto():
    with pytest.raises(SettingsInvalid, match="off or auto"):
        ProcessingSettings(nvenc="h264_nvenc")
