"""The web application around a classifier: ``/predict``, ``/health``, ``/openapi.json`` and a page to try texts."""

from __future__ import annotations

import threading
from importlib.resources import files
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from bertft_helpers.errors import UserError
from bertft_helpers.inference import Classifier, SetClassifier
from bertft_helpers.serving.limits import BodyLimit, Limits, Rate, RateLimit

__all__ = ["build_app"]

_SECURE = {  # the page loads nothing from elsewhere, and no other page may hold it in a frame
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class _Texts(BaseModel):
    """What ``/predict`` takes."""

    model_config = ConfigDict(extra="forbid", strict=True)
    texts: list[str] = Field(min_length=1, examples=[["Record profit for the bank"]])


class _Answer(BaseModel):
    """The most probable label of a text, its probability, and that of every label; what else the service tells."""

    label: str
    probability: float
    probabilities: dict[str, float]
    further: dict[str, str] = {}


class _Labels(BaseModel):
    """The labels that a text gets, perhaps none, the probability of every label; what else is told of each label."""

    labels: list[str]
    probabilities: dict[str, float]
    further: dict[str, dict[str, str]] = {}


class _Answers(BaseModel):
    """One answer for each text, in the order of the texts; a model gives all of them one label, or all several."""

    predictions: list[_Answer] | list[_Labels]


class _Health(BaseModel):
    """Whether the service answers, and what it can answer."""

    status: str
    labels: list[str]
    max_length: Annotated[int | None, Field(description="tokens of a text that are read; null for all of it")]


def build_app(classifier: Classifier | SetClassifier, name: str, limits: Limits, hosts: list[str]) -> FastAPI:
    """The application; ``name`` is shown, and requests for a host that is not in ``hosts`` are refused with 400.

    One text after the other is predicted, since one prediction uses all of torch's threads.
    """
    app = FastAPI(title=f"bertft: {name}", docs_url=None, redoc_url=None)  # those pages load scripts from elsewhere
    one_at_a_time = threading.Lock()

    @app.post(
        "/predict",
        response_model=_Answers,
        response_model_exclude_defaults=True,
        responses={422: {"description": "the texts cannot be predicted"}},
    )
    def predict(asked: _Texts) -> _Answers:
        """Label texts."""
        _require_within(asked.texts, limits)
        with one_at_a_time:
            found = classifier.predict(asked.texts)
        return _Answers.model_validate({"predictions": [one._asdict() for one in found]})

    @app.get("/health", response_model=_Health)
    def health() -> _Health:
        """Is the service there?"""
        return _Health(status="ok", labels=classifier.label_names, max_length=classifier.cut_after)

    page = _page(name, classifier.label_names, limits)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def try_it() -> HTMLResponse:
        return HTMLResponse(page, headers=_SECURE)

    @app.get("/page.{kind}", include_in_schema=False)
    def page_file(kind: str) -> Response:
        types = {"js": "text/javascript", "css": "text/css"}
        if kind not in types:
            raise HTTPException(404)
        return Response(_file(f"page.{kind}"), media_type=types[kind], headers=_SECURE)

    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(UserError, _wrong_texts)
    app.add_exception_handler(HTTPException, _no_such_thing)
    app.add_middleware(BodyLimit, most=limits.body)
    app.add_middleware(RateLimit, rate=Rate(limits.rate), path="/predict")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    return app


def _require_within(texts: list[str], limits: Limits) -> None:
    if len(texts) > limits.texts:
        raise UserError(f"{len(texts)} texts at once; at most {limits.texts} are taken: send them in several requests")
    for row, text in enumerate(texts, start=1):
        if len(text) > limits.characters:
            raise UserError(f"text {row} has {len(text):,} characters; at most {limits.characters:,} are taken")


async def _wrong_request(_request: Request, error: Exception) -> JSONResponse:
    """Which part of a request is wrong, without repeating what was sent."""
    assert isinstance(error, RequestValidationError)
    found = "; ".join(
        f"{'.'.join(str(part) for part in one['loc'] if part != 'body') or 'the body'}: {one['msg']}"
        for one in error.errors()[:5]
    )
    return JSONResponse({"error": f'{found}. Send JSON: {{"texts": ["…"]}}'}, status_code=422)


async def _wrong_texts(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=422)


async def _no_such_thing(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def _file(name: str) -> str:
    return (files("bertft_helpers.serving") / "page" / name).read_text(encoding="utf-8")


def _page(name: str, labels: list[str], limits: Limits) -> str:
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_file("page.html.j2"))
    return template.render(name=name, labels=labels, limits=limits)
