"""Posts to addresses that clients name: public ones only unless allowed, in bounded time, following nothing."""

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

#: From the look-up of the name to the answer's status, all in all.
TIMEOUT_SECONDS = 10.0
#: Names that are looked up at the same time; what looks them up cannot be interrupted.
_MAX_LOOKUPS = 16
#: IPv6 addresses that stand for an IPv4 one, which may be private, where a network translates them.
_NAT64_PREFIX = ipaddress.ip_network("64:ff9b::/96")

#: Of a host.
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class DeliveryResult:
    """What came back.

    Args:
        status: The HTTP status; None where there was no answer.
        detail: What came back or why nothing did, in words.
    """

    status: int | None
    detail: str

    @property
    def accepted(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300


@final
class WebhookClient:
    """Posts to addresses that clients name.

    Args:
        allow_private: Whether these may be private.
    """

    def __init__(self, *, allow_private: bool) -> None:
        """Start with nothing on its way."""
        self._private = allow_private
        # not asyncio's own threads: those are for the database
        self._lookups = ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="lookup")

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> DeliveryResult:
        """Post something, and return what came back; its body is not read.

        Args:
            url: Where to.
            content: JSON.
            headers: Further headers.
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
        # what is connected to is what was looked at: a name may lead elsewhere the next time
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
                    ) as answer:
                        return answer.status_code
                except httpx.ConnectError:
                    continue
        raise UnreachableError("no connection: refused, cut off, or with a certificate that is not to be trusted")

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """Return the addresses of a URL's host.

        Raises:
            UnreachableError: There are none.
            PrivateAddressError: One is private, and must not be.
        """
        loop = asyncio.get_running_loop()
        try:
            addresses = await loop.run_in_executor(self._lookups, _resolve, url.host)
        except (OSError, UnicodeError) as error:  # the latter where no name can be so long
            raise UnreachableError(f"the host {url.host} is not known") from error
        if not self._private and not all(map(_is_public, addresses)):
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
    return list(dict.fromkeys(ipaddress.ip_address(each[4][0]) for each in results))


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64_PREFIX:
            embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(each is None or _is_public(each) for each in embedded):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast
