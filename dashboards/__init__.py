"""The figures of a sweep and the offline HTML report; needs neither torch nor ray."""
