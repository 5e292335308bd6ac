"""Read IU X-Ray, the chest radiographs and reports of Indiana University. The room finds the studies in each of the
copies that people have (Open-i's XML, Kaggle's tables, R2Gen's JSON), matches image files across their names, and
splits the studies as each paper does.
"""
