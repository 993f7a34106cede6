"""One control connection's course."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.wire.ftp.commands import VERBS, Argument, Command, parse
from argosy.wire.ftp.replies import Reply
from argosy.wire.ftp.session import Login, Session, State, admit


def greeted(*, require_tls: bool = False) -> Session:
    session = Session(require_tls=require_tls)
    session.reply(Reply.of(220, "Ready"))
    return session


def say(session: Session, line: bytes, *codes: int) -> None:
    """Have a command answered by the door with these codes."""
    session.begin(parse(line))
    for code in codes:
        session.reply(Reply.of(code, "x"))


def logged_in() -> Session:
    session = greeted()
    say(session, b"USER ann", 331)
    say(session, b"PASS secret", 230)
    return session


def state(session: Session) -> State:
    """Ask anew each time: mypy believes that what was asserted stays so."""
    return session.state


def refusal(session: Session, line: bytes) -> int:
    reply = admit(parse(line), session)
    return reply.code if reply else 0


def test_the_greeting_comes_first() -> None:
    session = Session(require_tls=False)
    assert not session.may_begin(parse(b"NOOP"))
    assert session.reply(Reply.of(220, "Ready")) == b"220 Ready\r\n"
    assert state(session) is State.IDLE


def test_each_command_has_one_final_reply() -> None:
    session = greeted()
    say(session, b"NOOP", 200)
    with pytest.raises(RuntimeError, match="nobody asked for 200 in IDLE"):
        session.reply(Reply.of(200, "x"))


def test_nobody_is_told_twice_that_data_is_coming() -> None:
    session = logged_in()
    say(session, b"RETR f", 150)
    with pytest.raises(RuntimeError):
        session.reply(Reply.of(150, "x"))


def test_a_transfer_has_two_replies() -> None:
    session = logged_in()
    say(session, b"RETR f", 150)
    assert state(session) is State.TRANSFER
    session.reply(Reply.of(226, "x"))
    assert state(session) is State.IDLE


def test_abor_in_a_transfer_is_answered_after_the_transfer() -> None:
    session = logged_in()
    say(session, b"RETR f", 150)
    say(session, b"ABOR", 426)
    assert state(session) is State.TRANSFER
    session.reply(Reply.of(226, "x"))
    assert state(session) is State.IDLE


def test_stat_in_a_transfer_leaves_it_running() -> None:
    session = logged_in()
    say(session, b"STOR f", 150)
    say(session, b"STAT", 211)
    assert state(session) is State.TRANSFER
    session.reply(Reply.of(226, "x"))
    assert state(session) is State.IDLE


def test_other_commands_wait_for_the_transfer() -> None:
    session = logged_in()
    say(session, b"RETR f", 150)
    assert session.may_begin(parse(b"ABOR"))
    for line in (b"NOOP", b"QUIT", b"RETR g", b"FOO"):
        assert not session.may_begin(parse(line))
    with pytest.raises(RuntimeError, match="NOOP begun in TRANSFER"):
        session.begin(parse(b"NOOP"))


def test_abor_is_heard_while_the_data_connection_is_waited_for() -> None:
    session = logged_in()
    session.begin(parse(b"LIST"))
    assert session.may_begin(parse(b"ABOR"))
    assert not session.may_begin(parse(b"LIST"))


def test_abor_waits_for_a_command_that_moves_no_data() -> None:
    session = logged_in()
    session.begin(parse(b"DELE f"))
    assert not session.may_begin(parse(b"ABOR"))


@pytest.mark.parametrize("at", ["greeting", "idle", "answering", "transfer"])
def test_421_may_come_at_any_time_and_is_the_last_word(at: str) -> None:
    session = Session(require_tls=False) if at == "greeting" else logged_in()
    if at in ("answering", "transfer"):
        session.begin(parse(b"RETR f"))
    if at == "transfer":
        session.reply(Reply.of(150, "x"))
    session.reply(Reply.of(421, "Too long without a command"))
    assert state(session) is State.CLOSED
    assert not session.may_begin(parse(b"NOOP"))


def test_quit_is_the_last_command() -> None:
    session = greeted()
    say(session, b"QUIT", 221)
    assert state(session) is State.CLOSED


def test_a_login_is_two_steps() -> None:
    session = greeted()
    assert refusal(session, b"PASS secret") == 503
    assert refusal(session, b"PWD") == 530
    say(session, b"USER ann", 331)
    assert refusal(session, b"PASS secret") == 0
    assert refusal(session, b"PWD") == 530
    say(session, b"PASS secret", 230)
    assert session.login is Login.LOGGED_IN
    assert refusal(session, b"PWD") == 0


def test_a_wrong_password_means_user_again() -> None:
    session = greeted()
    say(session, b"USER ann", 331)
    say(session, b"PASS wrong", 530)
    assert refusal(session, b"PASS right") == 503


def test_another_user_is_not_logged_in_by_the_first_ones_password() -> None:
    session = logged_in()
    say(session, b"USER bob", 331)
    assert refusal(session, b"RETR f") == 530


def test_rein_logs_out() -> None:
    session = logged_in()
    say(session, b"REIN", 220)
    assert refusal(session, b"PWD") == 530


@pytest.mark.parametrize("verb", sorted(verb for verb in VERBS if VERBS[verb].needs_login))
def test_a_stranger_reaches_no_file(verb: str) -> None:
    assert refusal(greeted(), f"{verb} x".encode()) == 530


def test_features_can_be_asked_before_login() -> None:
    for line in (
        b"FEAT",
        b"SYST",
        b"NOOP",
        b"HELP",
        b"AUTH TLS",
        b"OPTS UTF8 ON",
        b"QUIT",
        b"CLNT x",
        b"ABOR",
    ):
        assert refusal(greeted(), line) == 0


def test_passwords_are_not_taken_in_clear_where_tls_is_required() -> None:
    session = greeted(require_tls=True)
    assert refusal(session, b"USER ann") == 530
    say(session, b"AUTH TLS", 234)
    assert session.secure
    assert refusal(session, b"USER ann") == 0


def test_protection_is_agreed_step_by_step() -> None:
    session = greeted()
    assert refusal(session, b"PBSZ 0") == 503
    assert refusal(session, b"PROT P") == 503
    say(session, b"AUTH TLS", 234)
    assert refusal(session, b"AUTH TLS") == 503
    assert refusal(session, b"PROT P") == 503
    say(session, b"PBSZ 0", 200)
    say(session, b"PROT P", 200)
    assert session.protected
    say(session, b"PROT C", 200)
    assert not session.protected


def test_refused_protection_changes_nothing() -> None:
    session = greeted()
    say(session, b"AUTH GSSAPI", 504)
    assert not session.secure
    say(session, b"AUTH TLS", 234)
    say(session, b"PBSZ 0", 200)
    say(session, b"PROT P", 200)
    say(session, b"PROT S", 536)
    assert session.protected


def test_a_login_in_clear_doesnt_outlive_auth() -> None:
    session = logged_in()
    say(session, b"AUTH TLS", 234)
    assert refusal(session, b"PWD") == 530


def test_rnto_wants_an_accepted_rnfr() -> None:
    session = logged_in()
    assert refusal(session, b"RNTO b") == 503
    say(session, b"RNFR gone", 550)
    assert refusal(session, b"RNTO b") == 503
    say(session, b"RNFR a", 350)
    assert refusal(session, b"RNTO b") == 0
    say(session, b"RNTO b", 250)
    assert refusal(session, b"RNTO c") == 503


@pytest.mark.parametrize(("line", "code"), [(b"USER bob", 331), (b"REIN", 220), (b"AUTH TLS", 234)])
def test_what_one_user_began_to_rename_the_next_one_does_not_end(line: bytes, code: int) -> None:
    session = logged_in()
    say(session, b"RNFR a", 350)
    say(session, line, code)
    say(session, b"USER bob", 331)
    say(session, b"PASS secret", 230)
    assert refusal(session, b"RNTO b") == 503


def test_after_epsv_all_only_epsv_is_left() -> None:
    session = logged_in()
    assert refusal(session, b"PASV") == 0
    say(session, b"EPSV ALL", 200)
    for line in (b"PASV", b"PORT 1,2,3,4,5,6", b"EPRT |1|1.2.3.4|5|"):
        assert refusal(session, line) == 503
    assert refusal(session, b"EPSV") == 0


def test_an_open_port_doesnt_count_as_epsv_all() -> None:
    session = logged_in()
    say(session, b"EPSV", 229)
    assert refusal(session, b"PASV") == 0


def test_what_we_dont_know_is_500_and_what_we_dont_have_is_502() -> None:
    session = logged_in()
    assert refusal(session, b"FOO bar") == 500
    for line in (b"SMNT x", b"LPSV", b"LPRT 6,16"):
        assert refusal(session, line) == 502


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_arguments_are_there_where_they_must_be(verb: str) -> None:
    session = logged_in()
    if VERBS[verb].argument is Argument.REQUIRED:
        assert refusal(session, verb.encode()) == 501
    if VERBS[verb].argument is Argument.NONE:
        assert refusal(session, verb.encode() + b" x") == 501


@given(st.lists(st.tuples(st.sampled_from(sorted(VERBS)), st.integers(200, 599)), max_size=30))
def test_nobody_logs_in_without_a_230(course: list[tuple[str, int]]) -> None:
    session = greeted()
    for verb, code in course:
        if state(session) is not State.IDLE:
            break
        say(session, f"{verb} x".encode(), code)
    ended = any(verb in ("USER", "PASS") and code == 230 for verb, code in course)
    assert session.login is not Login.LOGGED_IN or ended


@given(st.text(max_size=6), st.binary(max_size=20))
def test_every_command_is_admitted_or_refused(verb: str, argument: bytes) -> None:
    reply = admit(Command(verb, argument), logged_in())
    assert reply is None or reply.code in (500, 501, 502, 503, 530, 533, 553)
