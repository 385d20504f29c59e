"""The typed handle has the same methods as the channel."""

import inspect

from segray.cluster.channel import Channel
from segray.cluster.handle import ChannelHandle


def test_the_handle_has_exactly_the_channels_methods():
    methods = {name for name, _ in inspect.getmembers(Channel, inspect.iscoroutinefunction) if not name.startswith("_")}
    assert set(inspect.get_annotations(ChannelHandle)) == methods


def test_the_handle_gives_every_method_as_many_arguments():
    for name, annotation in inspect.get_annotations(ChannelHandle, eval_str=True).items():
        arguments, _ = annotation.__args__
        assert len(arguments) == len(inspect.signature(getattr(Channel, name)).parameters) - 1, name
