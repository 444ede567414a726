"""Reports: what happened day by day, as small series for a picture and as files with every row."""
