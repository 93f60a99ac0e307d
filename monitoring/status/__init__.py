"""One screen for whoever was woken: what is wrong, and what to do first.

probe, scrape, standing, latest, storage    look: HTTP, /metrics, the registry, reports, disk
gathering                                   puts what they saw into `facts`
judgement and the `*_rules`                 make findings of them; pure
screen with the `*_lines`, document         show it
"""
