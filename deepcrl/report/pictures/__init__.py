"""What a report shows beside charts: PNGs, films, what critics know of a maze. May import what `report` may."""
