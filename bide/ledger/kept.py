"""What becomes of a record's fields once all callers know the end: every field of the schema stands here once.

A finished record is packed: what explains the job lies compressed in a few short fields (`bide.ledger.packed`). What
scripts still look at stays a field of its own. A field that no table names is packed.
"""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: What served the job on its way, and explains nothing after its end: it goes.
LIVE = _names("""
    token queue place outputs cursor seen empties unknown_for polled ran asked hints crashes parked by_client asking
    called doubt handle other_with progress fetching keyed settling settle_tries received doubted_last submit_digest
    submit_until submit_ends submit_signed absent home over_budget
""")

#: What scripts read, or count on, in a record that has an end: it stays as it is.
PLAIN = _names("v state fp pid idem answered contract callback callback_owed callback_tries")

#: A record with one of these is never packed. Its job belongs to a run or to another job, or a purchase of it was in
#: doubt, or it may go on at another account: operators and late answers still have to do with it.
WHOLE = _names("""
    run leader other_pid attached listed again resubmitted doubted evidence settled given_up collected
    fallbacks fallback came tried paid_before elsewhere unread charge_unknown erased
""")

#: What explains the job to people, and answers clients: it is packed.
PACKED = _names("""
    op lane tenant created allowed deadline bulk resubmit tries submits intended submitted base_url adapter free
    submit_key key_new polls estimate cancel called_at calls cost ended finished partial note callback_host
    callback_note error result price currency priced_by booked
""")

#: The fields that hold what is packed, in order. Redis keeps a hash small whose values have 64 bytes at most; a value
#: of 63 takes one byte less for its length.
PARTS, PART_BYTES = tuple(map(str, range(32))), 63


def in_lua() -> str:
    """A function of Lua that says which table has a field: one local, since a script has 200 at most."""
    tables = {"live": LIVE, "plain": PLAIN, "whole": WHOLE}
    tests = (
        f"  if string.find(' {' '.join(names)} ', word, 1, true) then return '{kept}' end\n"
        for kept, names in tables.items()
    )
    return (
        f"local function kept_as(field)\n  local word = ' ' .. field .. ' '\n{''.join(tests)}  return 'packed'\nend\n"
    )
