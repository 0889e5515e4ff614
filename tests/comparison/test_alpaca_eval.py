from flr.comparison.alpaca_eval import model_outputs
from flr.comparison.asking import Said
from flr.types import Message

USER = Message("user", "Tea?")
PROMPTS = {
    1: (USER,),
    2: (Message("system", "Be kind."), USER),
    3: (USER, Message("assistant", "Yes."), Message("user", "Green?")),
    4: (Message("user", "Why 🎉\0?"),),
    5: (USER,),
    6: (Message("user", "Not asked"),),
}
SAID = {
    (number, at): Said(f"{number}-{at}\ud800", 1, finished=False)
    for number in range(1, 6)
    for at in (0, 1)
}


def test_one_instruction_with_the_first_response_a_row():
    rows, lost = model_outputs(PROMPTS, SAID, "mine", "drinks")
    assert [(row["instruction"], row["output"]) for row in rows] == [
        ("Tea?", "1-0\ud800"),
        ("Why 🎉\0?", "4-0\ud800"),
    ]
    assert {(row["generator"], row["dataset"]) for row in rows} == {("mine", "drinks")}
    assert lost == 3  # a system message, several turns, the same instruction again
    assert model_outputs({}, {}, "mine", "drinks") == ([], 0)
