# reportgen in a container.
#
#   docker build -t reportgen .                            for the CPU, 2 GB
#   docker build -t reportgen --build-arg TORCH=cu128 .    for CUDA, 8 GB
#   docker run --rm -v "$PWD:/work" reportgen report chest.png --out out
#
# TORCH is a backend of torch as `uv pip install --torch-backend` knows it: cpu, cu126, cu128, auto.
FROM python:3.12-slim

ARG TORCH=cpu

RUN pip install --no-cache-dir "uv>=0.7,<1"

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY reportgen_core reportgen_core
COPY plugins plugins
COPY zoo zoo
COPY cli cli
COPY docs/assets/cpu-overrides.txt docs/assets/cpu-overrides.txt

# For the CPU, faiss-cpu takes the place of faiss-gpu, which brings libraries of CUDA.
RUN if [ "$TORCH" = cpu ]; then overrides="--overrides docs/assets/cpu-overrides.txt faiss-cpu"; else overrides=""; fi \
    && eval "uv pip install --system --no-cache --torch-backend $TORCH $overrides ." \
    && rg --version

RUN useradd --create-home --uid 1000 reader && mkdir /work && chown reader /work
USER 1000
WORKDIR /work
ENTRYPOINT ["rg"]
CMD ["--help"]
