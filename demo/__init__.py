"""SeqPulse in action on one machine: a real small shop, real traffic, four real releases.

`shop` is the service, instrumented with the published SDK and run in its own process; `traffic`
drives it over HTTP; `releases` says what is shipped and which verdict is right; `stage` starts
everything; `ship` releases with the SDK's CI client and waits for the verdicts; `show` prints them.
"""
