"""Read MIMIC-CXR: the tables and images of MIMIC-CXR-JPG, with the reports of MIMIC-CXR. The room finds the report
texts in a folder, a zip or a table, and cuts each report into its sections.
"""
