"""The notebooks as a workshop: editions, schedules, slides, hand-outs, catch-up folders."""
