"""Review of faces in the browser. Start it with `curation_app.launch.launch`, or `fer curate`."""
