"""longdream: train world models offline on memory-demanding environments and measure what they remember."""

__version__ = "0.1.0"
