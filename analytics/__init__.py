"""The judge: frames in, judgements and hints out.

Pure: nothing here reads a clock, a database or a setting; whatever it needs is an argument.
Everything works on many deployments at once; one is a batch of one, and what is said of a
deployment never depends on its neighbours in the batch. ARCHITECTURE.md has the modules in order.
"""
