"""How the page is for whoever uses it: it can be read everywhere, and what its users experience becomes metrics."""

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.browser import CHROMIUM, CUT_OFF, FAINT_TEXT, QUESTION, WITHOUT_CHROMIUM, Backend, Opener, Visit

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT_CHROMIUM)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_and_can_be_read_on_a_phone_and_on_a_screen_by_day_and_by_night(
    open_page: Opener, width: int, scheme: str
) -> None:
    phone = width == 400
    size = {"width": width, "height": 820}
    someone = open_page(viewport=size, color_scheme=scheme, is_mobile=phone, has_touch=phone)
    someone.index(f"{'longname' * 16}.txt")
    someone.upload("archive.zip", "not a document")
    expect(someone.page.get_by_role("alert")).to_have_count(1)
    someone.ask(f"{QUESTION} {'unbroken' * 30}")
    someone.last_answer().get_by_role("radio", name="4").check()
    someone.page.mouse.move(0, 0)

    assert someone.evaluate("() => [document.documentElement.scrollWidth, innerWidth]") == [width] * 2
    assert someone.evaluate(CUT_OFF) == []
    assert someone.evaluate(FAINT_TEXT) == []
    expect(someone.page.get_by_label("Your question")).to_be_in_viewport()


def test_what_its_user_experienced_is_reported_when_the_page_is_left(someone: Visit, backend: Backend) -> None:
    metrics = ("first_token", "largest_contentful_paint", "interaction_to_next_paint")
    before = {name: backend.metric("user_experience_seconds_count", metric=name) for name in metrics}
    seconds = backend.metric("user_experience_seconds_sum", metric="first_token")
    visits = backend.metric("user_experience_layout_shift_count")
    with backend.fault("ai_slow", delay_seconds=0.3):  # before embedding and before answering
        someone.ask(QUESTION)
        expect(someone.last_answer().locator(".facts")).to_contain_text("first token after")
    someone.leave()
    for name in metrics:
        backend.wait_for_metric(before[name] + 1, "user_experience_seconds_count", metric=name)
    assert 0.6 < backend.metric("user_experience_seconds_sum", metric="first_token") - seconds < 5
    assert backend.metric("user_experience_layout_shift_count") == visits + 1


@pytest.mark.parametrize(
    ("kind", "mistake"),
    [
        ("script", "() => setTimeout(() => { throw new Error('meant'); })"),
        ("unhandled_rejection", "() => { Promise.reject(new Error('meant')); }"),
        ("resource", "() => { document.body.append(Object.assign(new Image(), { src: '/static/missing.svg' })); }"),
    ],
)
def test_what_fails_in_the_page_is_counted_by_its_kind(
    someone: Visit, backend: Backend, kind: str, mistake: str
) -> None:
    before = backend.metric("user_experience_errors_total", kind=kind)
    someone.evaluate(mistake)
    someone.page.wait_for_timeout(200)
    someone.leave()
    backend.wait_for_metric(before + 1, "user_experience_errors_total", kind=kind)
    assert all("meant" in text for text in someone.mistakes)
    someone.mistakes.clear()


def test_the_browser_is_told_to_run_the_pages_own_files_alone(backend: Backend) -> None:
    for path in ("/", "/static/app.js", "/static/index.html"):
        headers = httpx.get(backend.url + path).headers
        policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert headers["cache-control"] == "no-cache"
