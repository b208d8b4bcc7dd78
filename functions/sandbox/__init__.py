"""What runs inside (or builds) a function sandbox: standard library only, nothing of the product.

This package is bound alone into the zygote's root, so no module here may import anything but its
neighbours.
"""
