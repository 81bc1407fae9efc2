"""Our side of the gateway: every call returns an outcome and raises nothing for what the gateway did."""

from batchrunner.gateway.address import check_address, is_loopback, origin
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
]
