"""The judge: recomputes everything from dumped events, with SQL, sharing no code with the fold."""
