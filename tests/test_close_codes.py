import pytest

from roomcast.close_codes import Advice, CloseCode, advice, may_be_sent, meaning


@pytest.mark.parametrize("code", [1002, 1009, 4000, 4001, 4003, 4004, 4019])
def test_codes_that_would_end_the_same_way_again_say_stop(code: int) -> None:
    assert advice(code) is Advice.STOP


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1012, 1013, 4020, 4029, 4999])
def test_codes_of_passing_trouble_say_resume(code: int) -> None:
    assert advice(code) is Advice.RESUME


def test_a_normal_closure_is_done() -> None:
    assert CloseCode.NORMAL.advice is Advice.DONE


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_codes_that_rfc_6455_keeps_off_the_wire_may_not_be_sent(code: int) -> None:
    assert not may_be_sent(code)


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4000, 4999])
def test_codes_for_the_wire_may_be_sent(code: int) -> None:
    assert may_be_sent(code)


def test_each_code_of_ours_has_a_meaning_of_its_own() -> None:
    said = [meaning(code) for code in CloseCode]
    assert len(set(said)) == len(said)
    general = {meaning(code) for code in (3999, 4019, 4039, 4999, 2000)}
    assert len(general) == 5
    assert not general & set(said)
