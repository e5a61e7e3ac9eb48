"""The judge: frames in, judgements and hints out.

Pure: nothing here reads a clock, a database or a setting; whatever it needs is an argument.
`windows` cuts samples into baseline and post windows, `blocks` lays them out as arrays, `profile`
says how much a service moves by itself. A `policy` is a method and its numbers: `reference` (fixed
thresholds), `slo` (objectives), `kayenta`, or `relative` (against the service's own baseline;
`gauges` and `failures` test, `quality` looks at the data, `evidence` and `patterns` describe).
`judge` runs them, `hints` explains by its `catalogue`. Everything works on many deployments at
once; one is a batch of one, and what is said of a deployment never depends on its neighbours in
the batch.
"""
