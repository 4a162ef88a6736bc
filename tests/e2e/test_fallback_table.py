"""Every class of failure x where in the answer it happens x streamed or whole x where in the chain the target stands:
whom the daemon asks, what the caller hears, and what the ledger keeps.

A failure is "whole" where the caller asked for the answer in one piece: its provider sends one JSON object, of which
nothing is anybody's before all of it is there. What is expected of a case follows from RULES, COUNTS and a few lines of
rules below; no case is written down by itself."""
import itertools
import json

import pytest

from harness.lab import GOOD, ROLE, RULES, WHOLE, Lab, error_event, fallbacks, kinds, refusal, starts
from harness.provider import DONE, Close, Reset, Sleep, chunk, head, piece

POSITIONS = ("before headers", "after 200", "after preamble", "after first token", "at the end")
# where the target stands that fails so; those before it have used up their quota, those behind it answer
PLACES = {"first": 0, "middle": 1, "last": 2, "lone": 0}

PROMPT_COUNTED = {"prompt_tokens": 70}
ALL_COUNTED = {"prompt_tokens": 70, "completion_tokens": 77}
TEXT = {"after first token": "half", "at the end": "half of it"}


def of_usage(usage):
    return chunk(piece({}, usage=usage))


def of_text(*texts):
    return [chunk(piece({"content": t})) for t in texts]


# what came before it failed: of a stream
BEFORE = {
    "after 200": [],
    "after preamble": [ROLE, of_usage(ALL_COUNTED)],
    "after first token": [ROLE, of_usage(PROMPT_COUNTED), *of_text("half")],
    "at the end": [ROLE, *of_text("half", " of it"), of_usage(ALL_COUNTED)],
}


def completion(text, **more):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "x", "object": "chat.completion", "choices": [choice], "usage": ALL_COUNTED, **more}


# and of a whole answer: the object that tells the failure, and how much of a good one there was when it was cut off
TOLD_IN = {
    "after 200": lambda body: json.dumps(body),
    "after preamble": lambda body: " \n \n" + json.dumps(body),  # white space keeps a connection alive
    "after first token": lambda body: json.dumps(completion("half", **body)),
    "at the end": lambda body: json.dumps(completion("half of it")).replace('"finish_reason"', json.dumps(body)[1:-1] + ', "finish_reason"'),
}
CUT_TO = {"after 200": 0, "after preamble": 20, "after first token": json.dumps(completion("half")).index("half") + 4,
          "at the end": len(json.dumps(completion("half"))) - 1}


def broken(cls, position, whole):
    """The script of a target that fails in this way."""
    status, body, *_ = RULES[cls]
    ending = [Reset() if cls == "network" else Close()]
    if position == "before headers":
        return [b"220 no web server here\r\n", *ending] if cls == "protocol" else ending if cls == "network" else refusal(cls)
    if not whole:
        if status is not None:
            ending = [error_event(body), chunk(DONE), b"0\r\n\r\n"]
        return [head(chunked=True), *BEFORE[position], Sleep(0.01), *ending]
    if status is not None:
        text = TOLD_IN[position](body).encode()
        return [head(200, "application/json", length=len(text)) + text]
    text = json.dumps(completion("half"))
    return [head(200, "application/json", length=len(text)) + text[:CUT_TO[position]].encode(), Sleep(0.01), *ending]


def seen_as(cls, position):
    """A connection that is reset in the middle of an answer is an answer that is cut off."""
    return "protocol" if cls == "network" and position != "before headers" else cls


def is_committed(position, whole):
    return not whole and position in TEXT


def expected(cls, position, whole, place):
    """The targets in the order they are asked, and the code it ends with (None: well)."""
    *_, code, falls, again = RULES[seen_as(cls, position)]
    at, count = PLACES[place], 1 if place == "lone" else 3
    order = "abc"[:at + 1]
    if cls == "context_length" and at > 0 and not is_committed(position, whole):
        return order, "chain_exhausted"  # a larger model might have taken it; none here is known to be one
    if is_committed(position, whole) or not falls:
        return order, code
    if at + 1 < count:
        return order + "abc"[at + 1], None
    # nobody is left: it may be asked again itself, as its waits are over
    return order + order[-1] * again, code if count == 1 else "chain_exhausted"


# ---- what the ledger keeps of a try: tokens of the input and of the output, how sure they are, what it cost ----

NOT_BILLED = ("rate_limit", "quota", "overloaded", "auth", "permission", "not_found", "bad_request", "context_length")
NOTHING = (None, None, "unknown", "none", None)
NOBODY_KNOWS = (None, None, "unknown", "unknown", None)


def counts(cls, position, whole):
    cls = seen_as(cls, position)
    if position == "before headers":
        return NOTHING if cls in NOT_BILLED or cls == "server" else NOBODY_KNOWS
    if position == "after 200" or (whole and (RULES[cls][0] is None or position == "after preamble")):
        return NOTHING if cls in NOT_BILLED else NOBODY_KNOWS
    if position == "after first token" and not whole:
        return (70, 1, "output_estimated", "free", 0)  # "half" is a token or so
    return (70, 77, "reported", "free", 0)


def kept(row):
    return (row.get("input_tokens"), row.get("output_tokens"), row["counts"], row["cost_kind"], row.get("cost_microusd"))


def expected_rows(cls, position, whole, place, order):
    """One for each try: whose, how it ended, what it took."""
    failing = "abc"[PLACES[place]]
    for target in order:
        if target < failing:
            yield target, "quota", NOTHING, False
        elif target == failing:
            yield target, seen_as(cls, position), counts(cls, position, whole), is_committed(position, whole)
        else:
            yield target, "done", (1, 2, "reported", "free", 0) if whole else (7, 3, "reported", "free", 0), True


def check_events(a, order, code, text):
    """A start for each try, a fallback between two of them, and nothing of an answer before the last start."""
    way = ["start"] + ["fallback", "start"] * (len(order) - 1)
    got = kinds(a)
    assert got[:len(way)] == way, a.events
    assert [k for k in got[len(way):] if k != "usage"] == ["delta"] * (text != "") + ["done" if code is None else "error"]
    assert got.count("usage") <= 1
    assert starts(a) == [(x, n) for n, x in enumerate(order, 1)]
    for e in a.events:
        if e["type"] == "fallback":
            assert e["chain"] == "c" and e["position"] == 1 + "abc".index(e["to"].split(":")[0][-1])
            assert "passed" not in e and (e.get("wait_ms", 0) > 0) <= (e["from"] == e["to"])


@pytest.fixture(scope="module")
def lab():
    made = Lab()
    yield made
    made.close()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("whole", (False, True), ids=("stream", "whole"))
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("cls", RULES)
def test_F81_F83_every_failure_everywhere(lab, cls, position, whole, place):
    scripts = [refusal("quota")] * PLACES[place] + [broken(cls, position, whole)]
    if place != "lone":
        scripts += [WHOLE if whole else GOOD] * (3 - len(scripts))
    lab.chain(*scripts)
    order, code = expected(cls, position, whole, place)
    failing = "abc"[PLACES[place]]
    text = "good answer" if code is None else TEXT[position] if is_committed(position, whole) else ""

    a = lab.rpc.prompt("hi", ref="@c", options={"stream": not whole}).check_grammar()
    check_events(a, order, code, text)
    assert lab.asked() == [order.count(x) for x in "abc"[:len(scripts)]]
    # each step from one try to the next is told, with why
    assert fallbacks(a) == [(x, y, "quota" if x < failing else seen_as(cls, position)) for x, y in itertools.pairwise(order)]

    assert a.text == text and a.code == code
    if code is None:
        assert a.last["ref"] == f"{lab.names[PLACES[place] + 1]}:m" and a.last["stop"] == "end"
    else:
        assert a.last["partial"] is is_committed(position, whole)
    if code == "chain_exhausted":
        tries = a.last["data"]["attempts"]
        assert [x["ref"][-3] for x in tries] == list(order)
        assert [x["code"] for x in tries] == [RULES["quota" if x < failing else seen_as(cls, position)][2] for x in order]
        assert all(lab.names["abc".index(x)] in a.last["message"] for x in order)

    rows = lab.new_rows()
    assert [(r["provider"][-1], r["outcome"], kept(r), "first_token_ms" in r) for r in rows] == \
        list(expected_rows(cls, position, whole, place, order))
    assert [r["attempt"] for r in rows] == list(range(1, len(order) + 1)) and len({r["call"] for r in rows}) == 1
    assert all((r["chain"], r["client"], r["model"]) == ("c", "pytest", "m") for r in rows)
    # what the caller heard of the last try is what is kept of it
    heard = a.last.get("usage", {})
    assert (heard.get("input_tokens"), heard.get("output_tokens")) == kept(rows[-1])[:2]
    assert heard.get("estimated", False) is rows[-1]["counts"].endswith("estimated")


@pytest.mark.parametrize("cls", [c for c in RULES if RULES[c][3]])
def test_F83_all_of_them_fail_alike(lab, cls):
    """In turn, and then again in the order in which their waits, which chance spreads, are over."""
    *_, code, _, again = RULES[cls]
    lab.chain(*[broken(cls, "before headers", False)] * 3)
    a = lab.rpc.prompt("hi", ref="@c").check_grammar()
    went = "".join(x for x, _ in starts(a))
    assert a.code == "chain_exhausted" and went[:3] == "abc" and sorted(went) == sorted("abc" * (1 + again))
    assert fallbacks(a) == [(x, y, cls) for x, y in itertools.pairwise(went)]
    assert [x["code"] for x in a.last["data"]["attempts"]] == [code] * len(went)
    assert [(r["provider"][-1], r["attempt"], r["outcome"]) for r in lab.new_rows()] == \
        [(x, n, cls) for n, x in enumerate(went, 1)]
