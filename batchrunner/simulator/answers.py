"""Answers shared by all routes: the gateway's own, and those of a proxy in front of it."""

import socket
import struct
from typing import Any

from aiohttp import web

from batchrunner.simulator import rendering
from batchrunner.simulator.refusal import Denial, Denied
from batchrunner.simulator.rules import Rule

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
EDGE: web.RequestKey[bool] = web.RequestKey("edge", bool)  # the answer is not the gateway's own

_BUFFERED = 2048  # bytes; Go sends a longer answer in chunks
_CACHE_VERSION = "b688f2fb5be447c25e5aa3bd063087a83db32a288bf6a4f35f2d8db310e40b14"  # as recorded


def json_answer(value: Any, status: int = 200, content_type: str = rendering.JSON) -> web.Response:
    """An answer in JSON as the gateway writes it."""
    body = value if isinstance(value, bytes) else rendering.dumps(value)
    response = web.Response(status=status, body=body, headers={"Content-Type": content_type})
    if len(body) > _BUFFERED:
        response.enable_chunked_encoding()
    return response


def refused_answer(request: web.Request, refusal: Denial) -> web.Response:
    """The answer to a refused request."""
    response = json_answer(rendering.refused(refusal, request[REQUEST_ID]), refusal.status)
    response.headers.update(refusal.headers)
    return response


def invalid_token(request: web.Request) -> Denial:
    """401, in the caller's language."""
    chinese = request.headers.get("Accept-Language", "").lower().startswith("zh")
    return Denial(401, "openai", "", "无效的令牌" if chinese else "Invalid token")


def not_found(request: web.Request) -> web.Response:
    """404: the gateway has no such route."""
    message = f"Invalid URL ({request.method} {request.path})"
    error = {"message": message, "type": "invalid_request_error", "param": "", "code": ""}
    response = json_answer({"error": error}, status=404)
    response.headers.update({"Cache-Control": "max-age=604800", "Cache-Version": _CACHE_VERSION})
    return response


def without_gateway(request: web.Request) -> None:
    """Mark an answer that must not have the gateway's own headers."""
    request[EDGE] = True


def edge_answer(request: web.Request, status: int, html: str) -> web.Response:
    """An HTML page from a proxy in front of the gateway, without the gateway's own headers."""
    without_gateway(request)
    return web.Response(status=status, text=html, content_type="text/html")


def edge_fault(request: web.Request, rule: Rule) -> web.Response:
    """The answer of a proxy in front of the gateway, as the rule says: a page, or an empty body."""
    return edge_answer(
        request, rule.status, "" if rule.body == "empty" else rendering.error_page(rule.status)
    )


def common_fault(request: web.Request, rule: Rule) -> web.Response:
    """The answer for a fault that several routes share."""
    match rule.do:
        case "html_502":
            return edge_fault(request, rule)
        case "html_200":
            return edge_answer(request, 200, rendering.HTML_PAGE)
        case "cut":
            return reset(request)
        case "404":
            return not_found(request)
        case "401":
            raise Denied(invalid_token(request))
    raise AssertionError(f"{rule.on}: {rule.do} has no answer")


def too_many(seconds: float) -> web.Response:
    """429 from the gateway's own limiters: with Retry-After and no body."""
    return web.Response(status=429, headers={"Retry-After": f"{seconds:.0f}"})


def reset(request: web.Request) -> web.Response:
    """Reset the connection; the returned answer is never sent."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        # A linger of 0 turns the close into a reset, as when a gateway is killed.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
