"""`atp demo`: a retail day that can be had again, played to two workers, one of which is killed."""
