# docker build -t cl-engine .                                  PyTorch without CUDA
# docker build --build-arg DEVICE=gpu -t cl-engine:gpu .       with CUDA; run it with --gpus all
# docker run --rm -v "$PWD:/work" cl-engine run scenario.yaml
FROM python:3.12-slim
ARG DEVICE=cpu
ARG EXTRAS=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

# torch first and by itself: its layer is large, and stays as it is when the package changes
RUN case "$DEVICE" in \
      cpu) pip install torch --index-url https://download.pytorch.org/whl/cpu ;; \
      gpu) pip install torch ;; \
      *) echo "DEVICE=$DEVICE; allowed: cpu, gpu" >&2; exit 1 ;; \
    esac

COPY pyproject.toml README.md LICENSE MANIFEST.in CHANGELOG.md CITATION.cff /source/
COPY cl_engine /source/cl_engine
RUN pip install "/source${EXTRAS:+[$EXTRAS]}" && rm -r /source

# Anybody's files can be written by whoever runs it: docker run --user "$(id -u):$(id -g)"
ENV CL_ENGINE_CACHE=/cache CL_ENGINE_DATA=/cache/data HOME=/tmp
RUN mkdir -m 1777 /cache /work
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["cl-engine"]
CMD ["doctor"]
