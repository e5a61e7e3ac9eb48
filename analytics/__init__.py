"""The judge: frames in, judgements and hints out.

Pure: nothing here reads a clock, a database or a setting; whatever it needs is an argument.
`windows` cuts samples into a baseline and a post window, `aggregate` counts and averages them,
`compare` sets the two against each other metric by metric, `judge` decides, `hints` explains.
`policy` holds the numbers. Everything works on many deployments at once; one is a batch of one,
and what is said of a deployment never depends on its neighbours in the batch.
"""
