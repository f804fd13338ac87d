"""Calls: what a broker is asked for, so that what it does not do is counted by what it was."""

from __future__ import annotations

from roomcast.tally import BrokerCalls

PUBLISHING = BrokerCalls("publish")
SUBSCRIBING = BrokerCalls("subscribe")
UNSUBSCRIBING = BrokerCalls("unsubscribe")
READING = BrokerCalls("history")
ARRIVING = BrokerCalls("arrive")
DEPARTING = BrokerCalls("depart")
LOOKING = BrokerCalls("present")
LISTING = BrokerCalls("rooms")
