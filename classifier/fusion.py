"""A trained network with its batch norms folded into the convolutions before them: the same function, less work.

At inference a batch norm multiplies and adds what it learnt, which the convolution's weights can do as well. A core
judges about 1.5 times as many faces by it; probabilities differ in the last digits of float32.
"""

from collections import Counter
from copy import deepcopy

from torch import fx, nn
from torch.fx.proxy import TraceError
from torch.nn.utils.fusion import fuse_conv_bn_eval

from classifier.models import FaceClassifier


def fold_norms(model: FaceClassifier) -> FaceClassifier:
    """A copy of a network for inference only, or the network itself where its way through its parts cannot be told.

    Args:
        model: is left as it is.
    """
    folded = deepcopy(model).eval()
    try:
        body = fx.symbolic_trace(folded.body)
    except (TraceError, TypeError, ValueError):  # its forward looks at the pictures, or at their size
        return model
    calls = Counter(node.target for node in body.graph.nodes if node.op == "call_module")
    for node in list(body.graph.nodes):
        norm, convolution = _part(body, node), _part(body, node.args[0] if node.args else None)
        if type(norm) is not nn.BatchNorm2d or type(convolution) is not nn.Conv2d:  # a subclass may do more
            continue
        before = node.args[0]
        if len(before.users) == 1 and calls[before.target] == calls[node.target] == 1:
            body.set_submodule(before.target, fuse_conv_bn_eval(convolution, norm))
            node.replace_all_uses_with(before)
            body.graph.erase_node(node)
    body.recompile()
    folded.body = body
    return folded


def _part(body: fx.GraphModule, node: object) -> nn.Module | None:
    """The module that a node calls; None where it calls none."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    return body.get_submodule(str(node.target))
