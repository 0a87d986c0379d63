# fakelens in a container, for CPUs and NVIDIA GPUs alike:
#
#     docker build --tag fakelens .
#     docker run --rm --volume "$PWD:/data:ro" fakelens photo.jpg
#     docker run --rm --gpus all --volume "$PWD:/data:ro" fakelens photo.jpg
#
# For CPUs alone, a fraction of the size, with an index that has torch's and torchvision's CPU builds:
#
#     docker build --tag fakelens:cpu --build-arg TORCH_INDEX=URL .
#
# Other extras: --build-arg EXTRAS=onnx,provenance,space
FROM python:3.11-slim-bookworm AS wheel

COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=""
ARG EXTRAS=provenance
COPY --from=wheel /wheels /wheels
# Both from the same index: torch's CPU build beside another torchvision does not load.
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision; fi
RUN pip install --no-cache-dir "$(echo /wheels/fakelens-*.whl)[$EXTRAS]" && rm -r /wheels

RUN useradd --create-home --uid 1000 fakelens
USER fakelens
WORKDIR /data
ENTRYPOINT ["fakelens"]
CMD ["--help"]
