"""The gateway client: every call returns an outcome; nothing the gateway does raises an exception."""

from batchrunner.gateway.address import check_address, is_loopback, origin, why_unreadable
from batchrunner.gateway.client import Gateway, GatewaySettings
from batchrunner.gateway.key import ApiKey
from batchrunner.gateway.wire import RequestBody, encode

__all__ = [
    "ApiKey",
    "Gateway",
    "GatewaySettings",
    "RequestBody",
    "check_address",
    "encode",
    "is_loopback",
    "origin",
    "why_unreadable",
]
