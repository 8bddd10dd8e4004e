"""What there is to review, in which order: one small module per kind of queue, and `building` for all of them."""

from curation_app.queues.building import KINDS, build_queue, chosen_queue, missing_queues, queue_sizes
from curation_app.queues.contract import Kind, Order, Queue

__all__ = ["KINDS", "Kind", "Order", "Queue", "build_queue", "chosen_queue", "missing_queues", "queue_sizes"]
