"""The HTTP client for webhooks: public addresses only unless configured otherwise, no redirects, with a timeout."""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from ssl import SSLContext
from typing import final

import httpx

from service.errors import PrivateAddressError, UnreachableError

#: Total time from the DNS lookup to the response's status.
TIMEOUT_SECONDS = 10.0
#: Maximum number of concurrent DNS lookups, which cannot be interrupted.
_MAX_LOOKUPS = 16
#: IPv4 addresses that are not globally reachable by IANA's registry of special-purpose addresses, relays and multicast.
#: Python's own table is that of its release: 3.11 takes some of these for global.
_NOT_GLOBAL_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
#: The only IPv6 addresses that are assigned to hosts of the internet, and the parts of them that are not global.
#: 2001::/23 has a few that are, of relays and translators: no receiver is there.
_UNICAST_IPV6 = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_IPV6 = tuple(ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20"))
#: IPv6 addresses that NAT64 translates to an IPv4 address, which may be private.
_NAT64_PREFIX = ipaddress.IPv6Network("64:ff9b::/96")

#: An IP address.
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class DeliveryResult:
    """The result of a delivery attempt.

    Args:
        status: The HTTP status; None if there was no response.
        detail: The status or the error, as text.
    """

    status: int | None
    detail: str

    @property
    def accepted(self) -> bool:
        """Whether the receiver accepted the message."""
        return self.status is not None and 200 <= self.status < 300


@final
class WebhookClient:
    """Posts messages to the URLs of webhooks.

    Args:
        allow_private: Whether private addresses are allowed.
    """

    def __init__(self, *, allow_private: bool) -> None:
        """Create the thread pool for DNS lookups."""
        self._allow_private = allow_private
        # separate from asyncio's default threads, which access the database
        self._lookups = ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="lookup")

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> DeliveryResult:
        """Post a message; the body of the response is not read.

        Args:
            url: The URL.
            content: The body, as JSON.
            headers: Additional headers.
        """
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status = await self._post(httpx.URL(url), content, headers)
        except TimeoutError:
            return DeliveryResult(status=None, detail=f"no answer within {TIMEOUT_SECONDS:g} s")
        except (PrivateAddressError, UnreachableError) as error:
            return DeliveryResult(status=None, detail=str(error))
        except httpx.TransportError as error:
            return DeliveryResult(status=None, detail=f"no answer: {type(error).__name__}")
        return DeliveryResult(status=status, detail=f"answered {status}")

    async def _post(self, url: httpx.URL, content: bytes, headers: Mapping[str, str]) -> int:
        # connect to the checked addresses: another lookup of the name may return different ones
        addresses = await self._addresses(url)
        fixed_headers = {"Host": url.netloc.decode(), "Content-Type": "application/json", "User-Agent": "l4-studies"}
        async with httpx.AsyncClient(verify=self._ssl_context, trust_env=False, timeout=TIMEOUT_SECONDS) as client:
            for address in addresses:
                try:
                    async with client.stream(
                        "POST",
                        url.copy_with(host=address),
                        content=content,
                        headers=fixed_headers | dict(headers),
                        extensions={"sni_hostname": url.host},
                    ) as response:
                        return response.status_code
                except httpx.ConnectError:
                    continue
        raise UnreachableError("no connection: refused, cut off, or with a certificate that is not to be trusted")

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """Return the addresses of a URL's host.

        Raises:
            UnreachableError: The name cannot be resolved.
            PrivateAddressError: An address is private, which is not allowed.
        """
        loop = asyncio.get_running_loop()
        try:
            addresses = await loop.run_in_executor(self._lookups, _resolve, url.host)
        except (OSError, UnicodeError) as error:  # UnicodeError: the name is too long
            raise UnreachableError(f"the host {url.host} is not known") from error
        if not self._allow_private and not all(map(_is_public, addresses)):
            raise PrivateAddressError(
                f"the host {url.host} has a private address; where receivers may be in the service's own network, "
                "it is to run with L4_WEBHOOKS_PRIVATE=true"
            )
        return [str(address) for address in addresses]

    @cached_property
    def _ssl_context(self) -> SSLContext:
        return httpx.create_ssl_context(trust_env=False)


def _resolve(host: str) -> list[Address]:
    results = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(address[0]) for *_, address in results))


def _is_public(address: Address) -> bool:
    """Return whether an address is globally reachable; of one that leads to an IPv4 address, that has to be."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_GLOBAL_IPV4)
    if address.ipv4_mapped is not None:
        return _is_public(address.ipv4_mapped)
    if address in _NAT64_PREFIX:
        return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        return _is_public(address.sixtofour)
    return address in _UNICAST_IPV6 and not any(address in network for network in _NOT_GLOBAL_IPV6)
