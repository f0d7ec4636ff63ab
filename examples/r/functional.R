# A functional model: a coarse signal made finer, and its coarse details kept.
library(reticulate)

keras <- import("keras")
convt <- import("keras_convt")

inputs <- keras$Input(tuple(NULL, 1L))
encoded <- inputs |>
  convt$layer_conv_1d(16, 5, padding = "same", activation = "relu")
decoded <- encoded |>
  convt$layer_conv_1d_transpose(16, 4, 2, padding = "same", activation = "relu")
repeated <- inputs |> convt$layer_upsampling_1d(2)
outputs <- convt$layer_concatenate(decoded, repeated) |>
  convt$layer_dense(1)
model <- keras$Model(inputs, outputs)

y <- model(keras$random$uniform(c(4L, 10L, 1L)))
print(unlist(keras$ops$shape(y)))
