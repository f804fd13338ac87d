"""The model: what nodes and brokers have to do for a load, from what one of each thing costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """What one of each thing costs, in microseconds of CPU or bytes of memory, as measured.

    Attributes:
        publish: of the node that publishes, for a publication.
        receive: of each node that has members in its room.
        deliver: of a node, for each of its members there.
        carry: of the broker, for a publication that goes to nobody.
        copy: of the broker, for each node that it goes to.
        idle: of a node, for a connection that does nothing, a second.
        refresh: of the broker, for the presence of a member, a second.
        connection: bytes of a node, for a connection in a room.
        presence: bytes of the broker, for the same.
    """

    publish: float
    receive: float
    deliver: float
    carry: float
    copy: float
    idle: float = 0.0
    refresh: float = 0.0
    connection: float = 0.0
    presence: float = 0.0


@dataclass(frozen=True)
class Demand:
    """What is asked of a site.

    Attributes:
        members: how many members a room has, of one connection each.
        publications: how many publications a second there are, in all rooms together.
        connections: how many connections there are.
    """

    members: int
    publications: float
    connections: int

    @property
    def deliveries(self) -> float:
        """How many deliveries a second that makes."""
        return self.publications * self.members

    def nodes_of_a_room(self, nodes: int) -> float:
        """How many nodes a room has members on, on average, where members are on any node by chance."""
        return nodes * (1 - (1 - 1 / nodes) ** self.members)


def node_seconds(costs: Costs, demand: Demand, nodes: int) -> float:
    """How many seconds of CPU all nodes together take, a second."""
    receivers = demand.nodes_of_a_room(nodes)
    each = costs.publish + receivers * costs.receive + demand.members * costs.deliver
    return (demand.publications * each + demand.connections * costs.idle) / 1e6


def broker_seconds(costs: Costs, demand: Demand, nodes: int) -> float:
    """How many seconds of CPU the broker takes, a second."""
    each = costs.carry + demand.nodes_of_a_room(nodes) * costs.copy
    return (demand.publications * each + demand.connections * costs.refresh) / 1e6
