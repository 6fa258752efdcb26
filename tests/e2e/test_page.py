"""The page, as people use it: in a real Chromium, on the real backend under its real server.

After each of these nothing may stand in the console and no other host may have been asked for anything (`visit`).
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Locator, Route, expect

from tests.e2e.browser import (
    CHROMIUM,
    FOCUS_IS_SEEN,
    QUESTION,
    TELESCOPE,
    WITHOUT_CHROMIUM,
    Backend,
    Opener,
    Visit,
    server_events,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT_CHROMIUM)

ANSWER_URL = re.compile(r"/api/v1/chat/sessions/[^/]+/messages$")


def test_a_document_is_asked_about_and_the_answer_comes_piece_by_piece_with_its_source(someone: Visit) -> None:
    someone.index()
    someone.evaluate(
        """() => {
          globalThis.pieces = 0;
          const inAnswer = ({ target }) => target.parentElement?.matches(".answer");
          const watcher = new MutationObserver((changes) => { pieces += changes.filter(inAnswer).length; });
          watcher.observe(document.body, { subtree: true, characterData: true });
        }"""
    )
    someone.ask(QUESTION)

    answer = someone.last_answer()
    expect(answer.locator(".answer")).to_contain_text("The refractor in the east dome was built in 1887.")
    expect(answer.locator(".answer")).to_have_attribute("aria-busy", "false")
    source = answer.get_by_role("region", name="Sources").get_by_role("listitem").first
    expect(source).to_contain_text("telescope.txt")
    expect(source).to_contain_text("aperture of 38 centimetres")
    expect(source.locator(".score")).to_have_text(re.compile(r"^0\.\d\d$"))
    assert someone.evaluate("pieces") > 5


def test_while_the_model_thinks_the_page_says_what_it_reads(someone: Visit, backend: Backend) -> None:
    someone.index()
    with backend.fault("ai_slow", delay_seconds=0.5):  # before the embedding, and before the first token
        someone.ask(QUESTION)
        waiting = someone.last_answer().locator(".waiting")
        expect(waiting).to_have_text("Searching the documents")
        expect(waiting).to_have_text(re.compile(r"^Reading \d sources?$"))
        expect(waiting).to_be_visible()
        expect(someone.last_answer().locator(".answer")).to_contain_text("1887")
        expect(waiting).to_be_hidden()


def test_the_request_id_shown_is_the_answers_own_and_can_be_copied(open_page: Opener, backend: Backend) -> None:
    someone = open_page(permissions=["clipboard-read", "clipboard-write"])
    answers: list[APIResponse] = []

    def overhear(route: Route) -> None:
        answers.append(route.fetch())
        route.fulfill(response=answers[0])

    someone.page.route(ANSWER_URL, overhear)
    someone.ask(QUESTION)
    shown = someone.last_answer().locator(".facts code")
    expect(shown).to_have_text(re.compile(r"^\w{32}$"))
    assert server_events(answers[0].text())[-1][1]["request_id"] == shown.inner_text()
    assert answers[0].headers["x-request-id"] == shown.inner_text()
    someone.last_answer().get_by_role("button", name="Copy request id").click()
    expect(someone.page.get_by_role("status").first).to_have_text("Request id copied")
    assert someone.evaluate("navigator.clipboard.readText()") == shown.inner_text()
    logs = someone.last_answer().get_by_role("link", name="Logs of request").get_attribute("href")
    assert shown.inner_text() in str(logs)


def test_an_answer_is_rated_and_the_rating_can_be_changed(someone: Visit, backend: Backend) -> None:
    before = {score: backend.metric("feedback_total", score=score) for score in "25"}
    someone.ask(QUESTION)
    answer = someone.last_answer()
    answer.get_by_role("radio", name="2").check()
    answer.get_by_label("Comment").fill("Which dome?")
    with someone.page.expect_request("**/feedback") as sent:
        answer.get_by_role("button", name="Send rating").click()
    expect(answer.get_by_role("status")).to_contain_text("Rated 2 of 5")
    answer.get_by_role("radio", name="5, just right").check()
    answer.get_by_role("button", name="Send rating").click()
    expect(answer.get_by_role("status")).to_contain_text("Rated 5 of 5")

    assert '"comment":"Which dome?"' in str(sent.value.post_data)
    assert backend.metric("feedback_total", score="2") == before["2"] + 1
    assert backend.metric("feedback_total", score="5") == before["5"] + 1


def test_everything_can_be_done_by_keyboard_alone(someone: Visit, tmp_path: Path) -> None:
    page, press = someone.page, someone.page.keyboard.press
    file = tmp_path / "keyboard.txt"
    file.write_text(TELESCOPE)

    def tab_to(target: Locator, key: str = "Tab") -> None:
        for _ in range(40):
            press(key)
            assert someone.evaluate(FOCUS_IS_SEEN), someone.evaluate("() => document.activeElement.outerHTML")
            if target.evaluate("(element) => element === document.activeElement"):
                return
        pytest.fail(f"{target} is not reached by {key}")

    page.on("filechooser", lambda chooser: chooser.set_files(file))  # early: Chromium takes a while to heed it
    tab_to(page.get_by_label("Add documents"))
    press("Enter")
    expect(page.get_by_label("Your uploads")).to_contain_text("1 passage")
    tab_to(page.get_by_label("Your question"))
    page.keyboard.type(QUESTION)
    press("Shift+Enter")
    page.keyboard.type("And how large is it?")
    press("Enter")
    answer = someone.last_answer()
    expect(answer.locator(".question")).to_have_text(f"{QUESTION}\nAnd how large is it?")
    expect(answer.locator(".answer")).to_contain_text("1887")
    expect(page.get_by_label("Your question")).to_be_focused()
    tab_to(answer.get_by_role("radio", name="5, just right"), "Shift+Tab")
    press("Space")
    press("ArrowLeft")
    tab_to(answer.get_by_label("Comment"))
    page.keyboard.type("Found at once")
    tab_to(answer.get_by_role("button", name="Send rating"))
    press("Space")
    expect(answer.get_by_role("status")).to_contain_text("Rated 4 of 5")
    tab_to(answer.get_by_role("button", name="Copy request id"))
    # On through the rest, out of the page, and in again at its beginning: nowhere is the focus held.
    tab_to(page.get_by_role("link", name="Alertmanager"))
    press("Tab")
    tab_to(page.get_by_role("button", name="New conversation"))
    with page.expect_response(lambda response: response.request.method == "DELETE") as closed:
        press("Enter")
    assert closed.value.status == 204
    expect(page.get_by_label("Your question")).to_be_focused()
    expect(page.get_by_role("article")).to_have_count(0)


def test_a_session_is_opened_by_the_first_question_and_a_browser_is_one_user(someone: Visit, open_page: Opener) -> None:
    def sessions_opened() -> int:
        return sum(url.endswith("/chat/sessions") for url in someone.requests)

    assert sessions_opened() == 0
    for number in (1, 2):
        someone.ask(QUESTION)
        expect(someone.page.locator(".facts:visible")).to_have_count(number)
    assert sessions_opened() == 1
    someone.page.reload()
    someone.ask(QUESTION)
    expect(someone.page.locator(".facts:visible")).to_have_count(1)
    (known,) = someone.user_ids - {""}
    other = open_page()
    other.ask(QUESTION)
    expect(other.page.locator(".facts:visible")).to_have_count(1)
    assert len(other.user_ids - {"", known}) == 1


def test_a_dropped_file_is_taken_and_shown_among_the_indexed_ones(someone: Visit) -> None:
    drag = """(name) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["# Dropped\\n\\nIt fell onto the page."], "dropped.md"));
      const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
      document.querySelector("main").dispatchEvent(event);
      return event.defaultPrevented; // else the browser opens the file in the page's place
    }"""
    assert someone.evaluate(drag, "dragover")
    expect(someone.page.locator("html")).to_have_class("dragging")
    assert someone.evaluate(drag, "drop")
    expect(someone.page.locator("html")).to_have_class("")
    expect(someone.page.get_by_label("Your uploads")).to_contain_text("1 passage")
    expect(someone.page.locator("#indexed-list")).to_contain_text("dropped.md")


def test_a_file_that_is_not_read_is_refused_with_the_problems_detail_and_request_id(someone: Visit) -> None:
    with someone.page.expect_response("**/documents") as refused:
        someone.upload("archive.zip", "not a document")
    problem = refused.value.json()
    alert = someone.page.get_by_label("Your uploads").get_by_role("alert")
    expect(alert).to_contain_text(problem["detail"])
    expect(alert.locator("code")).to_have_text(problem["request_id"])


def test_a_document_that_cannot_be_indexed_shows_why(someone: Visit, backend: Backend) -> None:
    with backend.fault("indexing_failures"):
        someone.upload("unlucky.txt", TELESCOPE)
        alert = someone.page.get_by_label("Your uploads").get_by_role("alert")
        expect(alert).to_contain_text("It could not be indexed: ")
        expect(alert).to_contain_text("indexing_failures")


def test_a_question_too_long_is_given_back_to_be_shortened(someone: Visit) -> None:
    question = "far too long " * 400
    someone.ask(question)
    expect(someone.last_answer().get_by_role("alert")).to_contain_text("at most 4000 are taken")
    expect(someone.last_answer().get_by_role("alert").locator("code")).to_have_text(re.compile(r"^\w{32}$"))
    expect(someone.page.get_by_label("Your question")).to_have_value(question.strip())


def test_when_the_model_is_away_the_page_says_so_and_asks_again(someone: Visit, backend: Backend) -> None:
    with backend.fault("ai_down"):
        someone.ask(QUESTION)
        expect(someone.last_answer().get_by_role("alert")).to_contain_text(re.compile(r"ai_down.*Try again in \d+\ss"))
    someone.last_answer().get_by_role("button", name="Ask again").click()
    expect(someone.page.get_by_role("article")).to_have_count(2)
    expect(someone.last_answer().locator(".facts")).to_be_visible()


@pytest.mark.parametrize("stop", ["button", "Escape"])
def test_an_answer_that_takes_long_is_stopped(someone: Visit, backend: Backend, stop: str) -> None:
    endpoint = "/api/v1/chat/sessions/{session_id}/messages"
    gone = backend.metric("http_requests_total", endpoint=endpoint, status="499")
    with backend.fault("ai_slow", delay_seconds=2):
        with someone.page.expect_request(ANSWER_URL):
            someone.ask(QUESTION)
        if stop == "button":
            someone.page.get_by_role("button", name="Stop").click()
        else:
            someone.page.keyboard.press(stop)
        expect(someone.last_answer()).to_contain_text("Stopped.")
        expect(someone.last_answer().locator(".facts code")).to_have_text(re.compile(r"^\w{32}$"))
        expect(someone.page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
        expect(someone.page.get_by_label("Your question")).to_be_focused()
        backend.wait_for_metric(gone + 1, "http_requests_total", endpoint=endpoint, status="499")


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ('event: error\ndata: {"status": 503, "detail": "It left.", "request_id": "abc"}\n\n', "It left."),
        ("", "the connection closed before its end"),
    ],
)
def test_an_answer_that_breaks_off_keeps_what_came_and_says_why(someone: Visit, ending: str, reason: str) -> None:
    begun = 'event: sources\ndata: []\n\nevent: token\ndata: {"text": "It was built"}\n\n'
    someone.page.route(ANSWER_URL, lambda route: route.fulfill(content_type="text/event-stream", body=begun + ending))
    someone.ask(QUESTION)
    expect(someone.last_answer().get_by_role("alert")).to_contain_text(reason)
    expect(someone.last_answer().locator(".answer")).to_have_text("It was built")
    expect(someone.last_answer().get_by_role("button", name="Ask again")).to_be_visible()


def test_a_stream_is_read_however_the_network_cuts_it(someone: Visit) -> None:
    read = someone.evaluate(
        """async () => {
          const { events } = await import("/static/api.js");
          const crlf = 'event: token\\r\\ndata: {"text":\\r\\ndata: "città €"}\\r\\n\\r\\n';
          const bytes = new TextEncoder().encode(`: kept alive\\n\\n${crlf}data: [1]\\n\\n`);
          const found = [];
          const body = new ReadableStream({ start(stream) {
            for (const byte of bytes) stream.enqueue(Uint8Array.of(byte));
            stream.close();
          } });
          for await (const event of events(new Response(body))) found.push(event);
          return found;
        }"""
    )
    assert read == [{"event": "token", "data": {"text": "città €"}}, {"event": "message", "data": [1]}]


def test_markup_in_documents_names_and_questions_is_shown_as_text(someone: Visit) -> None:
    markup = "<img src=nowhere onerror=globalThis.ran=1><script>globalThis.ran=1</script>"
    someone.index("<b>bold</b>.txt", f"The word zymurgy stands beside {markup} in this document.")
    someone.ask(f"zymurgy {markup}")
    answer = someone.last_answer()
    expect(answer.locator(".question")).to_have_text(f"zymurgy {markup}")
    expect(answer.locator(".answer")).to_contain_text("<img src=nowhere onerror=globalThis.ran=1>")
    expect(answer.locator(".excerpt").first).to_contain_text(markup)
    expect(someone.page.get_by_label("Your uploads")).to_contain_text("<b>bold</b>.txt")
    assert someone.page.locator("main img, main script, .uploads b b").count() == 0
    assert someone.evaluate("globalThis.ran") is None
